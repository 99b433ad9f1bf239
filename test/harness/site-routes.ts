import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { pour, take } from './flow.ts'

/** What the site answers by itself, by the path without the query. Everything else it echoes. */
export const siteRoutes: Readonly<Record<string, RequestListener>> = {
  '/hello': (_, response) => response.end('hello'),
  '/bytes': (request, response) => {
    const bytes = Number(parameter(request, 'size'))
    if (parameter(request, 'chunked') === null) response.setHeader('content-length', bytes)
    pour(response, bytes)
  },
  '/sum': async (request, response) => {
    const sum = await take(request)
      .rest()
      .catch(() => undefined)
    if (sum) response.setHeader('content-type', 'application/json').end(JSON.stringify(sum))
  },
  '/both': (request, response) => request.pipe(response),
  '/events': (request, response) => tellEvents(request, response),
  '/file': sendFile,
  '/hints': (_, response) => {
    response.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.js>; rel=preload'], 'x-early': 'yes' })
    response.end('late')
  },
  '/trailers': (_, response) => {
    response.writeHead(200, { trailer: 'x-sum, x-more' })
    response.write('body')
    response.addTrailers([
      ['x-sum', '7'],
      ['X-More', '1'],
      ['X-More', '2'],
    ])
    response.end()
  },
  '/status': (request, response) =>
    response.writeHead(Number(parameter(request, 'is')), 'As Asked', ['x-a', '1']).end(),
  '/break': (_, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('half', () => response.destroy())
  },
}

/** The file that /file has: its bytes tell where they stand. */
export const FILE = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251))

/** What a visitor's request was when it arrived; the site's answer where it has no other. */
export interface Echo {
  readonly method: string
  readonly target: string
  /** Names and values in turns. */
  readonly headers: string[]
  /** As latin1. */
  readonly body: string
  readonly trailers: string[]
}

/** Answers a request with what it was. */
export async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await request
    .setEncoding('latin1')
    .toArray()
    .catch(() => undefined)
  if (!body) return // the visitor has gone
  const { method = '', url: target = '', rawHeaders: headers, rawTrailers: trailers } = request
  const told: Echo = { method, target, headers, body: body.join(''), trailers }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(told))
}

/** Events, each with the time at which it was written. */
async function tellEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.flushHeaders()
  for (let i = 0; i < Number(parameter(request, 'count')); i++) {
    await delay(Number(parameter(request, 'every')))
    response.write(`id: ${i}\ndata: ${performance.timeOrigin + performance.now()}\n\n`)
  }
  response.end()
}

function sendFile(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('etag', '"file"')
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  if (from === undefined) {
    response.setHeader('content-length', FILE.length).end(request.method === 'HEAD' ? undefined : FILE)
    return
  }
  const [first, last] = [Number(from), to === '' ? FILE.length - 1 : Number(to)]
  if (first >= FILE.length) {
    response.writeHead(416, { 'content-range': `bytes */${FILE.length}` }).end()
    return
  }
  response.writeHead(206, {
    'content-range': `bytes ${first}-${last}/${FILE.length}`,
    'content-length': last - first + 1,
  })
  response.end(FILE.subarray(first, last + 1))
}

const parameter = ({ url = '' }: IncomingMessage, name: string) =>
  new URL(url, 'http://site').searchParams.get(name)
