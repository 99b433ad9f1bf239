import { request } from 'node:http'
import { Readable } from 'node:stream'

/** A fetch that finds every host at the gateway, as DNS does where the platform has a domain. */
export function fetchThrough({ gateway }: { gateway: { port: number } }): typeof fetch {
  return async (input, init) => {
    const asked = new Request(input, init)
    const url = new URL(asked.url)
    const outgoing = request({
      host: '127.0.0.1',
      port: gateway.port,
      method: asked.method,
      path: `${url.pathname}${url.search}`,
      headers: { ...Object.fromEntries(asked.headers), host: url.host },
      signal: asked.signal,
    })
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      const { statusCode = 0, headers } = incoming
      const pairs = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)])
      const body = [204, 304].includes(statusCode) ? null : (Readable.toWeb(incoming) as ReadableStream)
      incoming.on('error', () => {}) // told by the body
      resolve(new Response(body, { status: statusCode, headers: pairs }))
    })
    outgoing.end(Buffer.from(await asked.arrayBuffer()))
    return promise
  }
}
