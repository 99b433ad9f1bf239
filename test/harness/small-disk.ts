import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** A disk of its own that a test may fill. */
export interface SmallDisk {
  readonly folder: string
  /** Fills it to the last page, and keeps it so. */
  fill(): void
  /** Makes room again. */
  free(): void
  remove(): void
}

const page = Buffer.alloc(4096)
const refillMs = 20

/**
 * Makes a tmpfs. It lies in a mount namespace of another process, which root may make, and anybody else together with a
 * user namespace; through /proc all processes of this user reach it, and it goes with that process.
 */
export async function smallDisk(mebibytes: number): Promise<SmallDisk> {
  const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user']
  const script = `mount -t tmpfs -o size=${mebibytes}m,mode=755 tmpfs /mnt && echo mounted && exec cat`
  const holder = spawn('unshare', [...namespaces, '--', 'sh', '-c', script], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let said = ''
  holder.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const mounted = once(holder.stdout, 'data').then(() => true)
  const failed = Promise.race([once(holder, 'error').then(([error]) => String(error)), once(holder, 'close')])
  if ((await Promise.race([mounted, failed.then(() => false)])) !== true)
    throw new Error(`a tmpfs cannot be mounted here: ${said || (await failed)}`)

  const folder = `/proc/${holder.pid}/root/mnt`
  const file = join(folder, 'filler')
  let filling: NodeJS.Timeout | undefined
  const fillUp = () => {
    const descriptor = openSync(file, 'a')
    try {
      for (;;) writeSync(descriptor, page)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(descriptor)
    }
  }
  const free = () => {
    clearInterval(filling)
    rmSync(file, { force: true })
  }
  return {
    folder,
    fill() {
      fillUp()
      filling = setInterval(fillUp, refillMs)
    },
    free,
    remove() {
      clearInterval(filling)
      holder.stdin.end()
    },
  }
}
