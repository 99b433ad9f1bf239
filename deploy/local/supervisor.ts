import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hasRoom, nameFullDisk, untilRoom } from './disk-watch.ts'
import { answeringParts, watchHangs } from './hang-watch.ts'
import { describeExit, type RunningProcess } from './process.ts'
import type { Stack } from './stack.ts'

/** That many deaths of one part within this time are no accident any more. */
const deathsMax = 3
const deathsWithinMs = 60_000
/** The pause before a restart: after the first death within that time, and after the second. */
const backoffMs = [100, 2000]

const pollMs = 250

/** What nats-server says of a stream that takes no more messages. It takes them again only after a restart. */
const streamFailed = /critical write error|will be DISABLED|disabling JetStream/i
/** The least time between two restarts for that: where the cause is not a full disk, one helps no more than ten. */
const healEveryMs = 10_000

/** The end of a part that was not asked to end. */
export interface Death {
  readonly name: string
  /** For people: "was ended by SIGKILL". */
  readonly how: string
  /** The last lines that it wrote. */
  readonly lines: readonly string[]
}

/** Keeps the parts of a stack running. */
export interface Supervisor {
  /** Resolves where a part dies for the third time within a minute. */
  readonly gaveUp: Promise<Death>
  /** Restarts nothing any more, and resolves once no start is under way. Call it before the stack is stopped. */
  stop(): Promise<void>
}

/** A part that can be started again: on the same port, with the same data. */
interface Part {
  /** Where it writes: it is started again only where there is room. */
  folder: string
  process(): RunningProcess
  start(signal: AbortSignal): Promise<void>
}

/**
 * Restarts each part that dies, after a pause and once the disk has room; and NATS also where a stream takes no more
 * messages, as after the disk was full for seconds. A part that hangs is named, not restarted: it may come back, and
 * somebody may have stopped it to look at it. So is a disk on which PostgreSQL finds no room.
 */
export function supervise(options: {
  stack: Stack
  dataDir: string
  /** Called with a line for people whenever something is restarted, hangs, or answers again, and when a disk is full. */
  say: (line: string) => void
}): Supervisor {
  const { stack, dataDir, say } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const natsFolder = join(dataDir, 'nats')
  const postgresFolder = join(dataDir, 'postgres')
  const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<Death>()
  /** Parts that are being restarted. */
  const down = new Set<Part>()
  const starts = new Set<Promise<void>>()
  /** Processes that are stopped because they need a restart: that is no death. */
  const ailing = new WeakSet<RunningProcess>()

  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => {})
  const room = async (folder: string) => {
    if (await hasRoom(folder)) return
    say(`the disk of ${folder} is full; waiting until it has room`)
    await untilRoom(folder, signal)
  }
  /** How the part died; undefined where it was stopped for a restart. */
  const endOf = async (part: Part): Promise<Death | undefined> => {
    const running = part.process()
    const exit = await running.exited
    if (ailing.has(running)) return undefined
    return { name: running.name, how: describeExit(exit), lines: running.lines() }
  }
  const restart = async (part: Part, needs: readonly Part[]): Promise<Death | undefined> => {
    await room(part.folder)
    while (!signal.aborted && needs.some((needed) => down.has(needed))) await pause(pollMs)
    const { name } = part.process()
    if (signal.aborted) return undefined
    const start = part.start(signal)
    starts.add(start)
    try {
      await start
    } catch (error) {
      return { name, how: 'does not start', lines: [(error as Error).message] }
    } finally {
      starts.delete(start)
    }
    down.delete(part)
    return endOf(part)
  }
  const keep = async (part: Part, { needs = [] }: { needs?: readonly Part[] } = {}) => {
    let deaths: number[] = []
    let death = await endOf(part)
    while (!signal.aborted) {
      down.add(part)
      if (death) {
        const now = performance.now()
        deaths = [...deaths.filter((at) => now - at < deathsWithinMs), now]
        if (deaths.length === deathsMax) return giveUp(death)
        say(`${death.name} ${death.how}; it is started again`)
        await pause(backoffMs[deaths.length - 1] as number)
      }
      death = await restart(part, needs)
    }
  }

  let healedAt = Number.NEGATIVE_INFINITY
  const heal = async (running: RunningProcess) => {
    if (ailing.has(running)) return
    ailing.add(running)
    say('NATS takes no more events on one of its streams; it is restarted, and the events wait until then')
    await room(natsFolder)
    await pause(Math.max(0, healedAt + healEveryMs - performance.now()))
    healedAt = performance.now()
    if (!signal.aborted) await running.stop()
  }
  /** Looks at each line that the part writes, also once it was started again. */
  const watched = (part: Part, look: (line: string, running: RunningProcess) => void): Part => {
    const watch = () => {
      const running = part.process()
      const lookAt = (line: string) => look(line, running)
      running.onLine(lookAt)
      running.lines().forEach(lookAt)
    }
    watch()
    return { ...part, start: (until) => part.start(until).then(watch) }
  }

  const { postgres, nats, gateway, services } = stack
  const stores = postgres
    ? [watched({ ...postgres, folder: postgresFolder }, nameFullDisk(postgresFolder, say, signal))]
    : []
  for (const store of stores) keep(store)
  if (nats) {
    const look = (line: string, running: RunningProcess) => {
      if (streamFailed.test(line)) heal(running)
    }
    keep(watched({ ...nats, folder: natsFolder }, look))
  }
  for (const { process, start } of services)
    keep({ process, start: () => start({}, signal), folder: dataDir }, { needs: stores })
  keep({ ...gateway, folder: dataDir })
  watchHangs(answeringParts(stack), say, signal)
  return {
    gaveUp,
    async stop() {
      stopping.abort()
      await Promise.allSettled(starts)
    },
  }
}
