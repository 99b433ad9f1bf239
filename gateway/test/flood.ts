import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { startGateway, type TestGateway } from './gateway.ts'

export const MIB = 1024 * 1024

/** More than any call needs, and no JSON. */
export const JUNK = Buffer.alloc(MIB, 'a')

/** A call that auth admits; over HTTP/1.1 its headers alone. */
export const bearer = { authorization: 'Bearer it_0123456789abcdef' }

/** What a test opens, to be closed once it is over. */
export type Closing = (() => unknown)[]

/** A gateway that has this much memory in place of a GiB, and whose files are changed by `edit`. */
export async function gatewayOf(
  heap: number,
  closing: Closing,
  edit: (file: string, text: string) => string = (_, text) => text,
): Promise<TestGateway> {
  const gateway = await startGateway({
    edit: (file, text) =>
      edit(file, file === 'envoy.yaml' ? text.replace(String(1024 * MIB), String(heap)) : text),
  })
  closing.push(() => gateway.stop())
  return gateway
}

/** A number that Envoy keeps; 0 where it has counted nothing yet. */
export const stat = async (gateway: TestGateway, name: string) =>
  Number(
    new RegExp(`^${name}: (\\d+)$`, 'm').exec(await gateway.envoy.admin(`/stats?filter=${name}`))?.[1] ?? 0,
  )

/** The bytes that Envoy has on its heap. */
export const allocated = async (gateway: TestGateway) =>
  Number(JSON.parse(await gateway.envoy.admin('/memory')).allocated)

/** Connections of HTTP/2, each with as many streams as it may have, until the test is over. */
export function openStreams(
  { port }: TestGateway,
  headers: Record<string, string>,
  {
    connections,
    closing,
    streams = 100,
    windowSize,
    body,
  }: { connections: number; closing: Closing; streams?: number; windowSize?: number; body?: Buffer },
): ClientHttp2Stream[] {
  const opened: ClientHttp2Stream[] = []
  for (let n = 0; n < connections; n++) {
    const settings = windowSize === undefined ? {} : { initialWindowSize: windowSize }
    const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`, { settings })
    session.on('error', () => {}) // which ends it
    closing.push(() => session.destroy())
    for (let asked = 0; asked < streams; asked++) {
      const stream = session.request(headers, { endStream: body === undefined })
      stream.on('error', () => {}) // which ends it
      if (body) stream.write(body)
      opened.push(stream)
    }
  }
  return opened
}
