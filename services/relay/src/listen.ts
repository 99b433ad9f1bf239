import type { AddressInfo, Server, Socket } from 'node:net'

/** A server that listens. */
export interface Listening {
  /** host:port, also where any free port was asked for. */
  readonly address: string
  /** How many connections it has, also those that were upgraded. */
  readonly connections: number
  /** Takes no more connections, and ends those that there are, also what they were upgraded to. */
  close(): Promise<void>
}

/** Has a server listen at host:port. */
export async function listenOn(server: Server, address: string): Promise<Listening> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    // Later on, a connection that cannot be taken is no reason to end.
    server.on('error', reject)
    server.listen(Number(address.slice(colon + 1)), host.replace(/^\[|\]$/g, ''), resolve)
  })
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    get connections() {
      return sockets.size
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
