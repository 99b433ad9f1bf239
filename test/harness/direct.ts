import { createPrivateKey } from 'node:crypto'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { createServiceSigner } from '@instatunnel/kit/service-identity'
import type { ServiceName } from '@instatunnel/kit/service-name'
import { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import { SignJWT } from 'jose'
import { type Refused, refusedOf } from './refused.ts'
import { type Rpcs, rpcsOf } from './rpcs.ts'
import type { TestStack } from './stack.ts'

/** A service's rpcs, called on its own port, past the gateway. */
export interface Direct<Definition> {
  readonly rpcs: Rpcs<Definition>
  close(): void
}

/** Calls a service at "host:port" with this metadata on each call. */
export function direct<Definition extends Record<string, object>>(
  address: string,
  definition: Definition,
  metadata: Record<string, string> | (() => Promise<Record<string, string>>) = {},
): Direct<Definition> {
  const channel = new Client(address, credentials.createInsecure())
  const metadataOf = typeof metadata === 'function' ? metadata : async () => metadata
  return { rpcs: rpcsOf(channel, definition, metadataOf), close: () => channel.close() }
}

/** Calls the rpc with this path, with an empty request; tells how it was refused, undefined where it was not. */
export async function callByPath(
  address: string,
  path: string,
  headers: Record<string, string>,
): Promise<Refused | undefined> {
  const channel = new Client(address, credentials.createInsecure())
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  const asItIs = (bytes: Buffer) => bytes
  try {
    return await new Promise((resolve) => {
      channel.makeUnaryRequest(path, asItIs, asItIs, Buffer.alloc(0), metadata, (error) =>
        resolve(error ? refusedOf(error) : undefined),
      )
    })
  } finally {
    channel.close()
  }
}

type Secrets = Pick<TestStack, 'secrets'>

/** What a service of this platform calls its neighbours with. */
export function serviceToken({ secrets }: Secrets, from: ServiceName, to: string) {
  const privateKey = secrets.serviceKeys[from]
  return createServiceSigner({ service: from, privateKey, now: () => new Date() })(to)
}

/** A service's token with other claims, or another header, than services give themselves. */
export function oddServiceToken(
  { secrets }: Secrets,
  {
    signer = 'keys' as const,
    header = {},
    claims = {},
  }: {
    signer?: 'auth' | 'keys' | 'tunnels'
    header?: object
    claims?: object
  },
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ iss: signer, aud: 'auth', iat: now, exp: now + 60, ...claims })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'service+jwt', ...header })
    .sign(createPrivateKey(secrets.serviceKeys[signer]))
}

/** What auth answers the services that ask it, as keys; on the replica named. */
export const askAuth = (stack: TestStack, replica = 0): Direct<typeof AuthorizationServiceService> =>
  direct(stack.service('auth', replica).address, AuthorizationServiceService, async () => ({
    'x-instatunnel-service': await serviceToken(stack, 'keys', 'auth'),
  }))
