import type { AddressInfo, Server } from 'node:net'

/** Has a server listen at host:port; tells where it does, also where any free port was asked for. */
export async function listenOn(server: Server, address: string): Promise<string> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(Number(address.slice(colon + 1)), host.replace(/^\[|\]$/g, ''), resolve)
  })
  return `${host}:${(server.address() as AddressInfo).port}`
}
