import { createWriteStream, mkdirSync, openSync, renameSync, type WriteStream } from 'node:fs'
import { dirname } from 'node:path'

/** A log grows to this, then becomes NAME.old in place of the one before: two of them are the most that is kept. */
const bytesMax = 16 * 1024 * 1024

/** A log on disk. */
export interface LogFile {
  write(line: string): void
  close(): void
}

/** Opens the log anew; what a run before has written is kept as NAME.old. */
export function openLogFile(file: string, { maxBytes = bytesMax } = {}): LogFile {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  let stream = fresh(file)
  let bytes = 0
  return {
    write(line) {
      if (bytes > maxBytes) {
        stream.end()
        stream = fresh(file)
        bytes = 0
      }
      bytes += Buffer.byteLength(line) + 1
      stream.write(`${line}\n`)
    },
    close: () => stream.end(),
  }
}

function fresh(file: string): WriteStream {
  try {
    renameSync(file, `${file}.old`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const stream = createWriteStream(file, { fd: openSync(file, 'a', 0o600) })
  stream.on('error', () => {}) // a full disk, or a folder that is gone, ends the log and nothing else
  return stream
}
