import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { answeringParts, watchHangs } from './hang-watch.ts'
import { describeExit, type RunningProcess } from './process.ts'
import type { Stack } from './stack.ts'

/** That many deaths of one part within this time are no accident any more. */
const deathsMax = 3
const deathsWithinMs = 60_000
/** The pause before a restart: after the first death within that time, and after the second. */
const backoffMs = [100, 2000]

/** A disk with less room than this is full: PostgreSQL takes a segment of its log (16 MiB) to recover. */
const roomBytes = 24 * 1024 * 1024
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
 * somebody may have stopped it to look at it.
 */
export function supervise(options: {
  stack: Stack
  dataDir: string
  /** Called with a line for people whenever something is restarted, hangs, or answers again. */
  say: (line: string) => void
}): Supervisor {
  const { stack, dataDir, say } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const natsFolder = join(dataDir, 'nats')
  const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<Death>()
  /** Parts that are being restarted. */
  const down = new Set<Part>()
  const starts = new Set<Promise<void>>()
  /** Processes that are stopped because they need a restart: that is no death. */
  const ailing = new WeakSet<RunningProcess>()

  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => {})
  const freeBytes = (folder: string) =>
    statfs(folder).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => 0,
    )
  const room = async (folder: string) => {
    if ((await freeBytes(folder)) >= roomBytes) return
    say(`the disk of ${folder} is full; waiting until it has room`)
    while (!signal.aborted && (await freeBytes(folder)) < roomBytes) await pause(pollMs)
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
  const watch = (running: RunningProcess) => {
    const look = (line: string) => {
      if (streamFailed.test(line)) heal(running)
    }
    running.onLine(look)
    running.lines().forEach(look)
  }

  const { postgres, nats, gateway, services } = stack
  const stores = postgres ? [{ ...postgres, folder: join(dataDir, 'postgres') }] : []
  for (const store of stores) keep(store)
  if (nats) {
    watch(nats.process())
    const start = () => nats.start().then(() => watch(nats.process()))
    keep({ process: nats.process, start, folder: natsFolder })
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
