import type { Logger } from './log.ts'

/** Something that was started and can be closed. */
export interface Running {
  readonly port: number
  close(): Promise<void>
}

/** Starts a service, says so, and closes it on SIGTERM or SIGINT. */
export async function runUntilSignal(start: () => Promise<Running>, log: Logger): Promise<void> {
  const running = await start().catch((error: Error) => {
    log.fatal({ err: error }, 'could not start')
    process.exitCode = 1
  })
  if (!running) return process.exit()
  log.info({ port: running.port }, 'serving')
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT']) process.once(name, resolve)
  })
  log.info({ signal }, 'closing')
  await running.close()
  log.info('closed')
  process.exit()
}
