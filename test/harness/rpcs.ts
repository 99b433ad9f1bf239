import { type Client, Metadata, type MethodDefinition } from '@grpc/grpc-js'

const DEADLINE_MS = 15_000

/** One rpc as an async function; what a request leaves out is empty, as on the wire. */
export type Rpc<Request, Response> = (
  request?: Partial<Request>,
  options?: { signal?: AbortSignal; onHeaders?: (headers: Metadata) => void },
) => Promise<Response>

/** A generated service's rpcs as async functions. */
export type Rpcs<Definition> = {
  [Name in keyof Definition]: Definition[Name] extends MethodDefinition<infer Request, infer Response>
    ? Rpc<Request, Response>
    : never
}

/** Calls a service's rpcs, with the metadata of each on the call. */
export function rpcsOf<Definition extends Record<string, object>>(
  channel: Client,
  definition: Definition,
  metadataOf: (path: string) => Promise<Record<string, string>> = async () => ({}),
): Rpcs<Definition> {
  const rpcs = Object.entries(definition).map(([name, value]) => {
    const method = value as MethodDefinition<object, unknown>
    const empty = method.requestDeserialize(Buffer.alloc(0))
    const call: Rpc<object, unknown> = async (request, options) => {
      const metadata = new Metadata()
      for (const [key, text] of Object.entries(await metadataOf(method.path))) metadata.set(key, text)
      return callOnce(channel, method, { ...empty, ...request }, metadata, options)
    }
    return [name, call]
  })
  return Object.fromEntries(rpcs) as Rpcs<Definition>
}

function callOnce(
  channel: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<object, unknown>,
  request: object,
  metadata: Metadata,
  { signal, onHeaders }: { signal?: AbortSignal; onHeaders?: (headers: Metadata) => void } = {},
): Promise<unknown> {
  const deadline = Date.now() + DEADLINE_MS
  return new Promise((resolve, reject) => {
    const call = channel.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => (error ? reject(error) : resolve(response)),
    )
    if (onHeaders) call.on('metadata', onHeaders)
    signal?.addEventListener('abort', () => call.cancel(), { once: true })
  })
}
