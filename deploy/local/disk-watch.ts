import { statfs } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** A disk with less room than this is full: PostgreSQL takes a segment of its log (16 MiB) to recover. */
const roomBytes = 24 * 1024 * 1024
const pollMs = 250

/** What PostgreSQL says of a write that found no room. */
const writeFailed = /No space left on device/

/** Whether the disk of a folder is not full. */
export const hasRoom = (folder: string): Promise<boolean> =>
  statfs(folder).then(
    ({ bavail, bsize }) => bavail * bsize >= roomBytes,
    () => false,
  )

/** Waits until the disk of a folder has room, or the signal aborts. */
export async function untilRoom(folder: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await hasRoom(folder)))
    await delay(pollMs, undefined, { signal }).catch(() => {})
}

/**
 * Says that the disk is full on which PostgreSQL keeps its data, and when it has room again. Takes each line that
 * PostgreSQL writes: one that could not write a row answers on, so that nothing else tells.
 */
export function nameFullDisk(
  folder: string,
  say: (line: string) => void,
  signal: AbortSignal,
): (line: string) => void {
  let isFull = false
  const name = async () => {
    isFull = true
    say(`the disk of ${folder} is full: calls that change something are 503 until it has room`)
    await untilRoom(folder, signal)
    isFull = false
    if (!signal.aborted) say(`the disk of ${folder} has room again`)
  }
  return (line) => {
    if (!isFull && writeFailed.test(line)) name()
  }
}
