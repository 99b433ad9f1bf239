import { Client, credentials, type ServiceDefinition } from '@grpc/grpc-js'
import { type ApiKeyServiceServer, ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { Guard } from '../src/guard.ts'
import type { Refusals } from '../src/refusal.ts'
import { descriptorsFile, readRules } from '../src/rules.ts'
import { type HealthServing, serve } from '../src/server.ts'
import { createTransport } from '../src/tls.ts'
import { type Edge, type Handlers, implement, type Unary } from '../src/unary.ts'

const anyone: Guard = async () => ({ kind: 'anyone', address: '' })
const unused: Unary<never, never> = async () => {
  throw new Error('this test calls another rpc')
}

/** An answer of DeleteKey. */
export const deleted = {
  ...{ success: true, connectionsCut: 0, replicasAcked: 0, replicasTotal: 0, tookMs: 0, tunnels: [] },
}

/**
 * Serves some handlers of ApiKeyService, as a service would, until the test has ended. What the service logs is kept
 * in `logged`.
 */
export async function serveKeys(
  handlers: Partial<Handlers<ApiKeyServiceServer>>,
  {
    guard = anyone,
    refusals = {},
    isReady = () => true,
  }: { guard?: Guard; refusals?: Refusals; isReady?: () => boolean } = {},
) {
  const logged: string[] = []
  const transport = createTransport({ services: [] })
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) })
  const edge: Edge = {
    guard,
    rules: readRules(descriptorsFile()),
    refusals,
    log,
    certifiedOf: transport.certifiedOf,
    isReady,
  }
  const all = Object.fromEntries(Object.keys(ApiKeyServiceService).map((name) => [name, unused]))
  const serving: HealthServing = await serve({
    listen: '127.0.0.1:0',
    credentials: transport.server,
    services: [
      {
        definition: ApiKeyServiceService as ServiceDefinition,
        implementation: implement(ApiKeyServiceService, { ...all, ...(handlers as object) }, edge),
      },
    ],
    descriptors: descriptorsFile(),
  })
  const channel = new Client(`127.0.0.1:${serving.port}`, credentials.createInsecure())
  onTestFinished(async () => {
    channel.close()
    await serving.close()
  })
  return { serving, channel, keys: rpcsOf(channel, ApiKeyServiceService), logged }
}
