import type { ClientHttp2Session } from 'node:http2'
import { createLog } from '@instatunnel/kit/log'
import type { Serving } from '@instatunnel/kit/server'
import { afterEach, expect } from 'vitest'
import type { FramedUnary } from '../src/check-call.ts'
import { serveGateway } from '../src/check-server.ts'
import { framed } from '../src/domain/grpc-frame.ts'
import { callWith, ECHO, http2Connection } from './grpc-call.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Everything that the servers have logged. */
export const logged: string[] = []
const log = createLog('auth', 'trace', { write: (line: string) => void logged.push(line) })

/** Answers with what it is asked. */
export const echo: FramedUnary = (message) => framed(message)

/** A message for it, framed. */
export const hello = framed(Buffer.from('hello'))

/** A server whose one rpc is this, until the test is over. */
export async function serving(
  rpc: FramedUnary = echo,
  options: Partial<Parameters<typeof serveGateway>[0]> = {},
): Promise<Serving> {
  const rpcs = new Map([[ECHO, rpc]])
  const server = await serveGateway({ listen: '127.0.0.1:0', tls: undefined, rpcs, log, ...options })
  closing.push(() => server.close())
  return server
}

/** A connection to it, until the test is over. */
export async function connected(
  server: Serving,
  options?: Parameters<typeof http2Connection>[1],
): Promise<ClientHttp2Session> {
  const session = await http2Connection(server.port, options)
  closing.push(() => session.destroy())
  return session
}

/** Holds that the connection is of use: its next call is answered. */
export const works = async (session: ClientHttp2Session): Promise<void> =>
  expect(await callWith(session, hello)).toMatchObject({ body: hello, trailers: { 'grpc-status': '0' } })

/** An rpc that answers when it is told to, and the signals of its calls, in their order. */
export function waiting() {
  const signals: AbortSignal[] = []
  const answers: (() => void)[] = []
  let heard = () => {}
  const rpc: FramedUnary = (message, signal) =>
    new Promise((resolve) => {
      signals.push(signal)
      answers.push(() => resolve(framed(message)))
      heard()
    })
  /** Resolves once so many calls are there. */
  const begun = (count: number) =>
    new Promise<void>((resolve) => {
      heard = () => void (signals.length >= count && resolve())
      heard()
    })
  return { rpc, signals, answers, begun }
}

/** Resolves once the signal says so. */
export const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve()
    else signal?.addEventListener('abort', () => resolve())
  })
