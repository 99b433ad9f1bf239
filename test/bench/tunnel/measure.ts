import { meterCpu, type Pids, perUnit } from '../cpu.ts'
import { applyLoad, type LoadResult, type Place } from '../wrk.ts'
import { asked } from './target.ts'

/** Small GETs over a number of connections. */
export interface SmallRun {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time per request of each process. */
  readonly cpuMicroseconds: Readonly<Record<string, number>>
}

/** Small GETs are sent over so many connections. */
export const smallConnections = [4, 32] as const
/** Bulk is moved in so many streams. */
export const bulkStreams = [1, 8] as const

const MIB = 1024 * 1024

/** Small GETs through a tunnel, and what they cost its processes. */
export async function measureSmall(
  place: Place,
  pids: Pids,
  load: { connections: number; seconds: number },
): Promise<SmallRun> {
  const used = meterCpu(pids)
  const { requests, seconds, p50Ms, p99Ms } = await applyLoad(place, asked.small, load)
  return {
    requestsPerSecond: requests / seconds,
    p50Ms,
    p99Ms,
    cpuMicroseconds: perUnit(used(), requests),
  }
}

/** MiB a second through a tunnel, down or up. */
export async function measureBulk(
  place: Place,
  way: 'download' | 'upload',
  { streams, seconds }: { streams: number; seconds: number },
): Promise<number> {
  const load = await applyLoad(place, asked[way], { connections: streams, seconds })
  return movedBytes(way, load) / load.seconds / MIB
}

/** wrk counts what has come back, whole or not; of uploads only those that were answered count. */
const movedBytes = (way: 'download' | 'upload', { requests, bytes }: LoadResult) =>
  way === 'download' ? bytes : requests * asked.upload.uploadBytes
