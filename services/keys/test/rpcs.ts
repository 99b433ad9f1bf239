import { type Client, Metadata, type MethodDefinition } from '@grpc/grpc-js'

/** A generated service's rpcs as async functions; what a request leaves out is empty, as on the wire. */
export type Rpcs<Definition> = {
  [Name in keyof Definition]: Definition[Name] extends MethodDefinition<infer Request, infer Response>
    ? (request?: Partial<Request>) => Promise<Response>
    : never
}

/** Calls a service's rpcs, with this metadata on each call; `rewrite` may send other bytes than the request's. */
export function rpcsOf<Definition extends Record<string, object>>(
  channel: Client,
  definition: Definition,
  metadataOf: () => Promise<Record<string, string>>,
  rewrite: (bytes: Buffer) => Buffer = (bytes) => bytes,
): Rpcs<Definition> {
  const rpcs = Object.entries(definition).map(([name, value]) => {
    const { path, requestSerialize, requestDeserialize, responseDeserialize } = value as MethodDefinition<
      object,
      unknown
    >
    const call = async (request: object = {}) => {
      const metadata = new Metadata()
      for (const [key, text] of Object.entries(await metadataOf())) metadata.set(key, text)
      const whole = { ...requestDeserialize(Buffer.alloc(0)), ...request }
      const deadline = Date.now() + 15_000
      return new Promise((resolve, reject) => {
        channel.makeUnaryRequest(
          path,
          (message: object) => rewrite(requestSerialize(message)),
          responseDeserialize,
          whole,
          metadata,
          { deadline },
          (error, response) => (error ? reject(error) : resolve(response)),
        )
      })
    }
    return [name, call]
  })
  return Object.fromEntries(rpcs) as Rpcs<Definition>
}
