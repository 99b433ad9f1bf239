import {
  Client,
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
} from '@grpc/grpc-js'
import {
  KeyDirectoryServiceService,
  LookUpKeysRequest,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'

/** What keys was asked to look up. */
export interface LookUps {
  calls: number
  digests: number
  /** Of those, how many had been asked for before. */
  again: number
}

/** A way to keys that counts what is looked up on it. */
export interface CountingKeys {
  readonly address: string
  /** What was looked up since it was last asked; whatever is in `but` is not counted. */
  taken(): LookUps
  stop(): void
}

const none = (): LookUps => ({ calls: 0, digests: 0, again: 0 })

/** Stands before keys' internal rpcs, and passes on whatever is asked; digests in `but` are not counted. */
export async function startCountingKeys(keysAddress: string, but: readonly Buffer[]): Promise<CountingKeys> {
  const keys = new Client(keysAddress, credentials.createInsecure())
  const ignored = new Set(but.map(nameOf))
  const seen = new Set<string>()
  let counted = none()
  const count = (digests: readonly Buffer[]) => {
    const names = digests.map(nameOf).filter((name) => !ignored.has(name))
    if (names.length > 0) counted.calls++
    for (const name of names) {
      counted.digests++
      if (seen.has(name)) counted.again++
      seen.add(name)
    }
  }

  const server = new Server()
  const methods = Object.entries(KeyDirectoryServiceService)
  const asBytes = methods.map(([name, method]) => [
    name,
    { ...method, requestDeserialize: same, responseSerialize: same },
  ])
  const passOn = methods.map(([name, { path }]) => [
    name,
    (call: Call, answer: Answer) => {
      if (name === 'lookUpKeys') count(LookUpKeysRequest.decode(call.request).digests)
      const options = { deadline: call.getDeadline() }
      keys.makeUnaryRequest(path, same, same, call.request, call.metadata, options, answer)
    },
  ])
  server.addService(Object.fromEntries(asBytes), Object.fromEntries(passOn))
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return {
    address: `127.0.0.1:${port}`,
    taken() {
      const taken = counted
      counted = none()
      return taken
    },
    stop() {
      server.forceShutdown()
      keys.close()
    },
  }
}

interface Call {
  readonly request: Buffer
  readonly metadata: Metadata
  getDeadline(): Date | number
}
type Answer = (error: ServiceError | null, response?: Buffer) => void

const same = (bytes: Buffer) => bytes

/** Enough of a digest to know it again. */
const nameOf = (digest: Buffer) => digest.toString('latin1', 0, 12)
