// The beginning of every root script: plain JavaScript without a dependency, for any Node from 20 on. It installs what
// a fresh clone lacks, then runs the verb under the Node that package.json pins.
import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installMissing } from './install.mjs'
import { quietEnvironment } from './quiet-command.mjs'

const root = realpathSync(join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..'))

/** How often to look whether npm still runs. */
const parentPollMs = 500

/** What each verb runs, as arguments of Node. */
const verbs = {
  start: ['deploy/local/start.ts'],
  test: ['node_modules/vitest/vitest.mjs', 'run'],
  all: ['node_modules/turbo/bin/turbo', 'run', 'generate', 'format', 'lint', 'typecheck', 'test'],
  bench: ['test/bench/main.ts'],
}

const [verb = '', ...args] = process.argv.slice(2)
if (!(verb in verbs)) {
  console.error(`usage: node deploy/local/bootstrap.mjs ${Object.keys(verbs).join('|')} [arguments]`)
  process.exit(2)
}
try {
  await installMissing(root)
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exit(1)
}

const pinned = join(root, 'node_modules/node/bin/node')
const node = existsSync(pinned) ? pinned : process.execPath
const child = spawn(node, [...verbs[/** @type {keyof typeof verbs} */ (verb)], ...args], {
  cwd: root,
  // The channel tells the child when we die.
  stdio: verb === 'start' ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  env: {
    // Keeps what Node makes of the sources: a test run starts some hundred times.
    NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/instatunnel'),
    ...quietEnvironment(),
    PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
  },
})
// Ctrl-C reaches the child by itself; a signal sent to us alone does not. It may get one twice, and knows.
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => child.kill(signal))
}
if (process.env.npm_lifecycle_event) {
  // npm killed by SIGKILL can hand on nothing: we see it go, and end as if told to.
  const npm = process.ppid
  setInterval(() => process.ppid !== npm && child.kill('SIGTERM'), parentPollMs).unref()
}
child.on('exit', (code, signal) => {
  if (!signal) process.exit(code ?? 1)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
