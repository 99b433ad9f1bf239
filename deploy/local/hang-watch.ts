import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stack } from './stack.ts'

const everyMs = 2000
/** Longer than a busy machine keeps an event loop from its work. */
const patienceMs = 5000

/** HTTP/2's preface and an empty SETTINGS frame, which a server answers with its own (RFC 9113, section 3.4). */
const http2 = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
const http1 = Buffer.from('GET /healthz HTTP/1.1\r\nHost: localhost\r\nx-instatunnel-health: 1\r\n\r\n')
/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
/** NATS speaks first. */
const nothing = Buffer.alloc(0)

/** A server that is asked whether it answers: any byte in answer to `hello` will do. */
export interface Answering {
  readonly name: string
  readonly port: number
  readonly hello: Buffer
}

/** The parts of a stack that are ours, each with the words it answers to. */
export function answeringParts({ gateway, services, nats, postgres }: Stack): Answering[] {
  return [
    { name: 'envoy', port: gateway.port, hello: http1 },
    ...services.map(({ name, port, process }) => ({
      name: process().name,
      port,
      hello: name === 'relay' ? http1 : http2,
    })),
    ...(nats ? [{ name: 'nats', port: nats.port, hello: nothing }] : []),
    ...(postgres ? [{ name: 'postgres', port: postgres.port, hello: sslRequest }] : []),
  ]
}

/** Says when a part takes connections and answers none, and when it answers again. A part that died is not its matter. */
export function watchHangs(
  parts: readonly Answering[],
  say: (line: string) => void,
  signal: AbortSignal,
  { every = everyMs, patience = patienceMs } = {},
): void {
  const watch = async (part: Answering) => {
    let hangs = false
    while (!signal.aborted) {
      const is = (await answerOf(part, patience, signal)) === 'none'
      if (is !== hangs && !signal.aborted)
        say(
          is
            ? `${part.name} hangs: it has not answered for ${patience / 1000} s`
            : `${part.name} answers again`,
        )
      hangs = is
      await delay(every, undefined, { signal, ref: false }).catch(() => {})
    }
  }
  for (const part of parts) watch(part)
}

/** "gone" where nothing listens, or the other side ends the connection. */
function answerOf(
  { port, hello }: Answering,
  patience: number,
  signal: AbortSignal,
): Promise<'some' | 'none' | 'gone'> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', signal })
    socket.setTimeout(patience, () => end('none'))
    const end = (answer: 'some' | 'none' | 'gone') => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('data', () => end('some'))
    socket.once('error', () => end('gone'))
    socket.once('close', () => end('gone'))
    socket.write(hello)
  })
}
