import { randomBytes } from 'node:crypto'
import { connectNats, type Nats } from '@instatunnel/kit/jetstream'
import { createLog, type Logger } from '@instatunnel/kit/log'
import { announceReplica, followReplicas, type Replicas } from '@instatunnel/kit/replicas'
import type { FreshNats } from '@instatunnel/test/nats'
import { vi } from 'vitest'
import { createSlidingWindows, type LocalWindows } from '../src/domain/sliding-window.ts'
import { createSharedWindows, type SharedWindows } from '../src/shared-windows.ts'

/** One replica's windows, with all that they stand on. */
export interface WindowReplica {
  readonly name: string
  readonly nats: Nats
  readonly replicas: Replicas
  /** What it counts by itself, for itself and for others. */
  readonly local: LocalWindows
  readonly windows: SharedWindows
  /** All warnings that it has logged. */
  readonly logged: readonly string[]
  /** Ends it as a crash would: nobody hears of it. */
  kill(): Promise<void>
  /** Ends it as it ends by itself. */
  leave(): Promise<void>
}

export const MINUTE = 60_000

/** Starts replicas that find one another over NATS; `now` is the clock of all of them. */
export function windowReplicas(server: FreshNats, now: () => Date) {
  const running = new Set<WindowReplica>()
  const mutes = new Map<string, () => Promise<void>>()

  async function start(bounds = new Map<string, number>()): Promise<WindowReplica> {
    const name = `auth_${randomBytes(8).toString('hex')}`
    const logged: string[] = []
    const log: Logger = createLog('auth', 'warn', { write: (line: string) => void logged.push(line) })
    const nats = connectNats({ url: server.url, seed: server.seeds.auth, name: 'auth', log })
    const replicas = followReplicas({ nats, log, service: 'auth' })
    const local = createSlidingWindows(MINUTE)
    const windows = createSharedWindows({ local, replicas, nats, replica: name, bounds, now, log })
    const announced = announceReplica({ nats, log, service: 'auth', replica: name })
    const end = async () => {
      running.delete(replica)
      windows.close()
      replicas.close()
      await nats.close()
      await announced.close()
    }
    const replica: WindowReplica = {
      name,
      nats,
      replicas,
      local,
      windows,
      logged,
      kill: end,
      async leave() {
        await announced.close()
        await end()
      },
    }
    await nats.ready
    running.add(replica)
    return replica
  }
  /** Resolves when each of these knows of these and of no other. */
  const know = (some: readonly WindowReplica[]) =>
    vi.waitFor(
      () => {
        const names = [...some.map(({ name }) => name), ...mutes.keys()].sort()
        for (const { replicas } of some) {
          if (replicas.live().join() !== names.join() || !replicas.isThere())
            throw new Error('not all are known')
        }
      },
      { timeout: 15_000, interval: 5 },
    )
  return {
    /** Starts so many, and waits until they know of one another. */
    async start(count: number, bounds?: Map<string, number>): Promise<WindowReplica[]> {
      const started = await Promise.all(Array.from({ length: count }, () => start(bounds)))
      await know([...running])
      return started
    },
    /** Starts one that lives, by what it says, and hears what it is asked, but never answers: as one that stands still. */
    async startMute(): Promise<Pick<WindowReplica, 'name'>> {
      const name = `auth_${randomBytes(8).toString('hex')}`
      const log = createLog('auth', 'silent')
      const nats = connectNats({ url: server.url, seed: server.seeds.auth, name: 'auth', log })
      const { connection } = await nats.ready
      connection.subscribe(`instatunnel.auth.limits.${name}`, { callback: () => {} })
      const announced = announceReplica({ nats, log, service: 'auth', replica: name })
      mutes.set(name, async () => {
        mutes.delete(name)
        await announced.close()
        await nats.close()
      })
      await know([...running])
      return { name }
    },
    know: () => know([...running]),
    async leave() {
      await Promise.all([...running].map((replica) => replica.leave()))
      await Promise.all([...mutes.values()].map((end) => end()))
    },
  }
}
