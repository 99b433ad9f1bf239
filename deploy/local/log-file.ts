import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** A log grows to 16 MiB, then becomes NAME.1, the one before NAME.2, and so on: five files are the most that is kept. */
const bytesMax = 16 * 1024 * 1024
const filesMax = 5
/** How long to wait after a write that failed: a full disk may have room again. */
const pauseMs = 1000

/** A log on disk. */
export interface LogFile {
  write(line: string): void
  close(): void
}

/**
 * Appends to the log, after what earlier starts wrote. Where a write fails, as on a full disk, the file is opened again
 * each second until a write succeeds; the log then says how many lines are missing.
 */
export function openLogFile(
  file: string,
  { maxBytes = bytesMax, maxFiles = filesMax, retryMs = pauseMs } = {},
): LogFile {
  let descriptor: number | undefined
  let size = 0
  let waiting: string[] = []
  let due: NodeJS.Immediate | undefined
  let lost = 0
  let cause = ''
  let retry: NodeJS.Timeout | undefined

  const open = () => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    descriptor = openSync(file, 'a', 0o600)
    size = fstatSync(descriptor).size
    return descriptor
  }
  const append = (lines: readonly string[]) => {
    let into = descriptor ?? open()
    if (size > maxBytes) {
      close()
      rotate(file, maxFiles)
      into = open()
    }
    const bytes = Buffer.from(`${lines.join('\n')}\n`)
    for (let at = 0; at < bytes.length; ) {
      const written = writeSync(into, bytes, at)
      at += written
      size += written
    }
  }
  /** Lines of one turn are one write. */
  const flush = () => {
    const lines = waiting
    waiting = []
    due = undefined
    if (retry) {
      lost += lines.length
      return
    }
    try {
      // A write that failed may have ended within a line.
      if (lost > 0) append(['', `(up to ${lost} lines are missing here: ${cause})`])
      lost = 0
      if (lines.length > 0) append(lines)
    } catch (error) {
      lost += lines.length
      cause = (error as NodeJS.ErrnoException).code ?? String(error)
      close()
      retry = setTimeout(() => {
        retry = undefined
        flush()
      }, retryMs).unref()
    }
  }
  const close = () => {
    if (descriptor !== undefined) closeSync(descriptor)
    descriptor = undefined
  }

  return {
    write(line) {
      waiting.push(line)
      due ??= setImmediate(flush)
    },
    close() {
      clearImmediate(due)
      clearTimeout(retry)
      retry = undefined
      flush()
      clearTimeout(retry)
      close()
    },
  }
}

/** NAME becomes NAME.1, NAME.1 becomes NAME.2, and so on; the last of them is overwritten. */
function rotate(file: string, maxFiles: number): void {
  const names = [file, ...Array.from({ length: maxFiles - 1 }, (_, index) => `${file}.${index + 1}`)]
  for (let last = names.length - 1; last > 0; last--) {
    try {
      renameSync(names[last - 1] as string, names[last] as string)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}
