import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerCredentials } from '@grpc/grpc-js'
import type { TlsFiles } from '@instatunnel/kit/tls'
import { type Envoy, type EnvoyOptions, startEnvoy } from '@instatunnel/local/envoy'
import type { ServiceAddresses } from '../place.ts'
import { type Authorizer, authorizer } from './authorizer.ts'
import { type Backend, startBackend } from './backend.ts'
import { type RawAnswer, sendRaw } from './raw-http.ts'
import { type Relay, startRelay } from './relay.ts'

/** A real Envoy on the gateway's files, before backends and a relay that do nothing and an authorizer that does as it is told. */
export interface TestGateway {
  envoy: Envoy
  port: number
  /** It has two ports: one for its rpcs, one where it is asked about calls. */
  auth: Backend & { check: Authorizer }
  keys: Backend
  tunnels: Backend
  relay: Relay
  /** Where they are, for another beside them. */
  services: ServiceAddresses
  /** Each line of the access log so far. */
  log: Record<string, unknown>[]
  call: (method: string, path: string, options?: CallOptions) => Promise<RawAnswer>
  stop(): Promise<void>
}

export interface CallOptions {
  headers?: Record<string, string>
  /** Sent as it is, with its length. */
  body?: string | Buffer
  host?: string
}

/** What the backends' servers show and demand; clear text where left out. */
type Credentials = Partial<Record<'auth' | 'keys' | 'tunnels', ServerCredentials>> & { relay?: TlsFiles }

export async function startGateway({
  credentials = {},
  ...options
}: Partial<EnvoyOptions> & { credentials?: Credentials } = {}): Promise<TestGateway> {
  const runDir = await mkdtemp(join(tmpdir(), 'gateway-'))
  const check = authorizer()
  const [rpcs, questions, keys, tunnels, relay] = await Promise.all([
    startBackend(0, undefined, credentials.auth),
    startBackend(0, check.addTo, credentials.auth),
    startBackend(0, undefined, credentials.keys),
    startBackend(0, undefined, credentials.tunnels),
    startRelay(0, credentials.relay),
  ])
  const auth = Object.assign(rpcs, {
    check,
    serving: both(rpcs.serving, questions.serving),
    stop: both(rpcs.stop, questions.stop),
  })
  const services = {
    auth: [auth.address],
    check: [questions.address],
    keys: [keys.address],
    tunnels: [tunnels.address],
    relay: [relay.address],
  }
  const log: Record<string, unknown>[] = []
  const cleanUp = async () => {
    await Promise.all([auth, keys, tunnels, relay].map((backend) => backend.stop()))
    await rm(runDir, { recursive: true, force: true })
  }
  const envoy = await startEnvoy({
    runDir,
    port: 0,
    services,
    apiHosts: ['api.test'],
    visitorDomain: 'tunnels.test',
    trustedHops: 0,
    connectionsPerAddress: 0,
    concurrency: 1,
    onAccessLog: (entry) => log.push(entry),
    ...options,
  }).catch(async (error) => {
    await cleanUp()
    throw error
  })
  return {
    envoy,
    port: envoy.port,
    auth,
    keys,
    tunnels,
    relay,
    services,
    log,
    call: (method, path, { headers = {}, body, host = 'api.test' } = {}) => {
      const all: Record<string, string> = { host, connection: 'close', ...headers }
      if (body !== undefined) {
        all['content-type'] ??= 'application/json'
        all['content-length'] ??= String(Buffer.byteLength(body))
      }
      const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
      return sendRaw(envoy.port, [
        `${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n`,
        Buffer.from(body ?? ''),
      ])
    },
    stop: async () => {
      await envoy.kill()
      await cleanUp()
    },
  }
}

/** Does the one and the other; what the other gives is given. */
const both =
  <In extends unknown[], Out>(one: (...given: In) => Out, other: (...given: In) => Out) =>
  (...given: In): Out => {
    one(...given)
    return other(...given)
  }
