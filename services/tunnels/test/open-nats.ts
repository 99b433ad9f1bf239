import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { portOrFree } from '@instatunnel/local/ports'
import { startProcess } from '@instatunnel/local/process'
import { serverBinary } from '@instatunnel/local/server-binary'
import { afterAll } from 'vitest'

/** A NATS server that asks for no user, so that a test may be whoever tells the service something. */
export interface OpenNats {
  readonly url: string
  /** What the service connects to it with. */
  readonly settings: { readonly NATS_URL: string; readonly NATS_SEED: string }
  /** Ends it as a crash would. */
  kill(): Promise<void>
  /** Starts it again on the same port and streams. */
  start(): Promise<void>
}

/** Starts one; it is stopped, and its data removed, after the file's last test. */
export async function openNats(): Promise<OpenNats> {
  const storeDir = await mkdtemp(join(tmpdir(), 'instatunnel-open-nats-'))
  const port = await portOrFree(0)
  const command = await serverBinary('nats-server')
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--jetstream', '--store_dir', storeDir]
  const start = () => startProcess({ name: 'nats', command, args })
  let running = await start()
  afterAll(async () => {
    await running.stop()
    await rm(storeDir, { recursive: true, force: true })
  })
  const url = `nats://127.0.0.1:${port}`
  return {
    url,
    settings: { NATS_URL: url, NATS_SEED: '' },
    async kill() {
      await running.kill('SIGKILL')
    },
    async start() {
      running = await start()
    },
  }
}
