import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { echo, siteRoutes } from './site-routes.ts'

/** A request that waits for the test to answer it. */
export interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** A local server, such as people have: what lies behind a tunnel in these tests. */
export interface Site {
  readonly port: number
  /** How many requests it has answered, or is answering. */
  readonly requests: number
  /** The next request for this path (without query), whose answer is the test's. */
  arrival(path: string): Promise<Arrival>
  /** The next WebSocket that is opened; any path under /ws opens one. What it says is echoed. */
  socket(): Promise<WebSocket>
  /** The next request that asks for another protocol, as it arrives; beside /ws its answer is the test's. */
  upgrade(): Promise<IncomingMessage>
  /** Ends it, with whatever it is answering. */
  close(): Promise<void>
}

/** Starts one on any free port, or on the port of one that has ended. */
export async function startSite(port = 0): Promise<Site> {
  const wanted = new Map<string, ((arrival: Arrival) => void)[]>()
  const sockets: ((socket: WebSocket) => void)[] = []
  const upgrades: ((request: IncomingMessage) => void)[] = []
  let requests = 0
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    requests++
    const [path = ''] = (request.url ?? '').split('?')
    const waiting = wanted.get(path)?.shift()
    if (waiting) waiting({ request, response })
    else (siteRoutes[path] ?? echo)(request, response)
  }
  const server = createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 64 * 1024 }, answer)
  const webSockets = new WebSocketServer({ noServer: true, handleProtocols: ([first]) => first ?? false })
  server.on('checkContinue', answer)
  server.on('upgrade', (request, socket, head) => {
    requests++
    const waiting = upgrades.shift()
    waiting?.(request)
    if (!request.url?.startsWith('/ws')) {
      if (waiting) return
      socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 4\r\nconnection: close\r\n\r\nnone')
      return
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }))
      sockets.shift()?.(webSocket)
    })
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get requests() {
      return requests
    },
    arrival: (path) =>
      new Promise((resolve) => {
        wanted.set(path, [...(wanted.get(path) ?? []), resolve])
      }),
    socket: () => new Promise((resolve) => void sockets.push(resolve)),
    upgrade: () => new Promise((resolve) => void upgrades.push(resolve)),
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      for (const socket of webSockets.clients) socket.terminate()
      await closed
    },
  }
}
