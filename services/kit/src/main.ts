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
  const signalled = new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT']) process.once(name, resolve)
  })
  // Only now: whoever reads this may send a signal at once.
  log.info({ port: running.port }, 'serving')
  log.info({ signal: await signalled }, 'closing')
  await running.close()
  log.info('closed')
  process.exit()
}
