import { defineConfig } from 'vitest/config'
import { SpreadSequencer } from './test/harness/sequencer.ts'

/** Every package with tests: one project each, so that `npm test -- --project keys` runs one alone. */
const packages = {
  kit: 'services/kit',
  auth: 'services/auth',
  keys: 'services/keys',
  tunnels: 'services/tunnels',
  relay: 'services/relay',
  cli: 'cli',
  gateway: 'gateway',
  local: 'deploy/local',
  test: 'test',
}

export default defineConfig({
  test: {
    // One Postgres and one NATS for the whole run: freshDatabase() and freshNats() give a file its own.
    globalSetup: ['test/harness/setup.ts'],
    // Three files at a time on the smallest machine, which has two cores: what waits leaves room for what works.
    maxWorkers: 3,
    sequence: { sequencer: SpreadSequencer },
    projects: Object.entries(packages).map(([name, root]) => ({
      extends: true as const,
      root,
      test: {
        name,
        globalSetup: [],
        include: ['**/*.test.ts'],
        testTimeout: 60_000, // what hangs is found; what is slow on a busy machine is no fault
        hookTimeout: 120_000, // a hook may start the whole stack
      },
    })),
  },
})
