import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below the range from which systems take ports for outgoing connections, so that none of ours is taken between look and use. */
const lowest = 20_000
const highest = 32_000

const handedOut = new Set<number>()

/** The port asked for, or, for 0, one on loopback that is free and that this process has not handed out before. */
export async function portOrFree(port: number): Promise<number> {
  while (port === 0) {
    const candidate = randomInt(lowest, highest)
    if (handedOut.has(candidate)) continue
    handedOut.add(candidate)
    if (await isFree(candidate)) return candidate
  }
  handedOut.add(port)
  return port
}

/** Whether nothing listens on that port of the loopback address. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}
