import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { portOrFree } from '@instatunnel/local/ports'
import { startProcess } from '@instatunnel/local/process'
import { serverBinary } from '@instatunnel/local/server-binary'
import { pino } from 'pino'
import { expect, onTestFinished } from 'vitest'
import { connectNats, type Nats } from '../src/jetstream.ts'
import { type Every, openRelayRoutes, type Route } from '../src/relay-routes.ts'
import { type Announced, announceRoutes } from '../src/route-announcer.ts'

/** A clock that stands still until the test lets time pass, and the timers that go by it. */
export function createClock() {
  let at = Date.parse('2026-07-01T12:00:00Z')
  const timers = new Set<{ ms: number; dueAt: number; work: () => void }>()
  const every: Every = (ms, work) => {
    const timer = { ms, dueAt: at + ms, work }
    timers.add(timer)
    return () => timers.delete(timer)
  }
  /** Lets time pass, timer by timer, without waiting for what they begin. */
  const pass = (ms: number) => {
    const until = at + ms
    for (;;) {
      const [next] = [...timers].sort((a, b) => a.dueAt - b.dueAt)
      if (!next || next.dueAt > until) break
      at = next.dueAt
      next.dueAt += next.ms
      next.work()
    }
    at = until
  }
  /** The process stands still: no timer is called. */
  const standStill = (ms: number) => {
    at += ms
    for (const timer of timers) timer.dueAt = Math.max(timer.dueAt, at)
  }
  return { now: () => new Date(at), every, pass, standStill }
}

export type Clock = ReturnType<typeof createClock>

/** A route of a tunnel, by an agent that connected once. */
export const routeOf = (tunnel: string, other: Partial<Route> = {}): Route => ({
  tunnelId: `tun_${tunnel}`,
  userId: 'user_1',
  subdomain: tunnel,
  connectionId: `conn_${tunnel}_${other.generation ?? 1}`,
  agent: 'agent-of-16-chars',
  generation: 1,
  relayId: 'relay_a',
  credential: { type: 'api_key', id: 'key_1' },
  ...other,
})

/** Opens routes and announcers on one NATS, that end with the test. */
export function routesOn(server: { url: string }, seeds: { relay?: string; tunnels?: string } = {}) {
  const logged: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const connectAs = (user: 'relay' | 'tunnels'): Nats => {
    const nats = connectNats({
      url: server.url,
      seed: seeds[user],
      name: user,
      log,
      makes: user === 'tunnels' || !seeds[user],
    })
    onTestFinished(() => nats.close())
    return nats
  }
  const watch = (
    clock: Pick<Clock, 'now' | 'every'>,
    { nats = connectAs('tunnels'), onChange }: { nats?: Nats; onChange?: (tunnelId: string) => void } = {},
  ) => {
    const changes: string[] = []
    const routes = openRelayRoutes({
      nats,
      log,
      ...clock,
      onChange(tunnelId) {
        changes.push(tunnelId)
        onChange?.(tunnelId)
      },
    })
    onTestFinished(() => routes.close())
    return { ...routes, changes }
  }
  const announce = (
    clock: Pick<Clock, 'now' | 'every'>,
    { relayId = 'relay_a', nats = connectAs('relay') }: { relayId?: string; nats?: Nats } = {},
  ) => {
    const superseded: string[] = []
    const peerAddress = `${relayId}:7000`
    const onSuperseded = ({ connectionId }: Route) => void superseded.push(connectionId)
    const announcer = announceRoutes({ nats, log, ...clock, relayId, peerAddress, onSuperseded })
    onTestFinished(() => announcer.close())
    const announceAll = (routes: readonly Route[]): Promise<Announced[]> =>
      Promise.all(routes.map((route) => announcer.announce({ ...route, relayId })))
    return { ...announcer, announceAll, superseded, nats }
  }
  return { watch, announce, connectAs, log, logged }
}

/** A NATS of the test's own, where everyone may do everything: also what no user of ours may. */
export async function openNats() {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-routes-'))
  const port = await portOrFree(0)
  const file = join(folder, 'nats.conf')
  const store = JSON.stringify(folder)
  await writeFile(file, `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${store} }\n`)
  const command = await serverBinary('nats-server')
  const start = async () => {
    const server = await startProcess({ name: 'nats', command, args: ['--config', file], cwd: folder })
    await expect.poll(() => server.lines().join(), { timeout: 10_000 }).toContain('Server is ready')
    return server
  }
  let server = await start()
  onTestFinished(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return {
    url: `nats://127.0.0.1:${port}`,
    kill: () => server.kill('SIGKILL'),
    start: async () => {
      server = await start()
    },
  }
}
