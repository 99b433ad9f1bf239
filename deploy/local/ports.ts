import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'

/** Below the range from which systems take ports for outgoing connections, so that none of ours is taken between look and use. */
const lowest = 20_000
const highest = 32_000

/** The port asked for, or, for 0, one on loopback that is free and that no process of ours was handed that still runs. */
export async function portOrFree(port: number, pick = () => randomInt(lowest, highest)): Promise<number> {
  while (port === 0) {
    const candidate = pick()
    if ((await claim(candidate)) && (await isFreeEverywhere(candidate))) return candidate
  }
  return port
}

/**
 * Claims a port for as long as this process runs: whoever is to listen there may take seconds to begin. The name of a
 * Unix socket of Linux's abstract namespace is nobody else's meanwhile, and leaves nothing behind (unix(7)).
 */
function claim(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const claimed = createServer()
    claimed.once('error', () => resolve(false))
    claimed.listen(`\0instatunnel-port-${port}`, () => resolve(true)).unref()
  })
}

/** Whether nothing listens on that port of any loopback address. */
export async function isFreeEverywhere(port: number): Promise<boolean> {
  return (await Promise.all(loopbackAddresses().map((address) => isFree(port, address)))).every(Boolean)
}

/** The addresses that "localhost" may lead to: clients try either first. Not every machine has the second. */
export function loopbackAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return ['127.0.0.1', ...(all.some(({ address }) => address === '::1') ? ['::1'] : [])]
}

/** Whether nothing listens on that port of a loopback address. */
export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, ipv6Only: true }, () => server.close(() => resolve(true)))
  })
}
