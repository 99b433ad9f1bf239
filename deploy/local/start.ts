import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfig } from './config.ts'
import { openDataFolder } from './data-folder.ts'
import { tryLock } from './folder-lock.mjs'
import { startStack } from './stack.ts'
import { supervise } from './supervisor.ts'
import { welcome } from './welcome.ts'

/**
 * One Ctrl-C arrives more than once: from the terminal, and handed on by npm and by the bootstrap. A signal this
 * soon after the first is the same one.
 */
const sameSignalMs = 500

/** `npm start`: runs the platform until it is told to stop, or until a part of it dies again and again. */
async function main(): Promise<number> {
  const config = readConfig(process.env)
  openDataFolder(config.dataDir)
  const lock = tryLock(join(config.dataDir, 'lock'))
  if (lock.heldBy !== undefined) {
    console.error(
      `${config.dataDir} is in use by process ${lock.heldBy}: stop that one, or name another INSTATUNNEL_DATA`,
    )
    return 1
  }
  const stopping = stopSignal()
  // Where `npx instatunnel` in this repository finds the API.
  const apiUrlFile = join(config.dataDir, 'api-url')
  try {
    console.error('starting…')
    const stack = await startStack({ config, signal: stopping })
    await writeFile(apiUrlFile, `${stack.gateway.url}\n`)
    console.log(welcome(stack, config))
    const supervisor = supervise({ stack, dataDir: config.dataDir, say: (line) => console.error(line) })
    const end = await Promise.race([aborted(stopping), supervisor.gaveUp])
    if (end) console.error(`\n${end.name} ${end.how}:\n${end.lines.join('\n')}\n`)
    console.error('stopping…')
    await supervisor.stop()
    await stack.stop()
    return end ? 1 : 0
  } catch (error) {
    console.error(stopping.aborted ? 'stopped before all was up' : (error as Error).message)
    return stopping.aborted ? 0 : 1
  } finally {
    await rm(apiUrlFile, { force: true })
    lock.release()
  }
}

/** Aborts at the first signal, or when whoever started us is gone; a second signal ends us, and so all children, at once. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  let first = 0
  const stop = () => {
    if (!stopping.signal.aborted) {
      first = Date.now()
      stopping.abort()
    } else if (Date.now() - first > sameSignalMs) process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  process.on('disconnect', stop)
  return stopping.signal
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message)
  return 1
})
process.channel?.unref() // the channel to the bootstrap must not keep us
