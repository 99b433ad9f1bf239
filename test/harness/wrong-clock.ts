import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Loaded into a service's process by `clockEnvironment`, this file sets the process's clock ahead by as many milliseconds as a
 * file named after its pid says.
 */
const folder = process.env.TEST_CLOCKS
if (folder !== undefined) {
  const RealDate = Date
  let aheadMs = 0
  const read = () => {
    try {
      aheadMs = Number(readFileSync(join(folder, String(process.pid)), 'utf8'))
    } catch {
      aheadMs = 0
    }
  }
  setInterval(read, 50).unref()
  globalThis.Date = class extends RealDate {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(RealDate.now() + aheadMs)
      else super(...(given as [number]))
    }
    static override now() {
      return RealDate.now() + aheadMs
    }
  } as DateConstructor
}

/** What services are told so that their clocks can be set. */
export function clockEnvironment() {
  const clocks = mkdtempSync(join(tmpdir(), 'instatunnel-clocks-'))
  return {
    env: { TEST_CLOCKS: clocks, NODE_OPTIONS: `--import=${fileURLToPath(import.meta.url)}` },
    clocks,
    /** Sets the clock of a process ahead; 0 is right. */
    setAhead: (pid: number, ms: number) => writeFileSync(join(clocks, String(pid)), String(ms)),
  }
}
