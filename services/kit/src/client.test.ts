import { createServer, type Server as NetServer } from 'node:net'
import {
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js'
import {
  KeyDirectoryServiceService,
  type RevokeKeyRequest,
  type RevokeKeyResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createServiceClient } from './client.ts'
import { SERVICE_METADATA } from './guard.ts'
import { clocksDiffer } from './refusal.ts'
import { createServiceSigner, createServiceVerifier } from './service-identity.ts'
import { statusOf } from './status.ts'

const auth = newKeyPair()
const now = () => new Date()
const sign = createServiceSigner({ service: 'auth', privateKey: auth.privateKey, now })
const verify = createServiceVerifier({ service: 'keys', publicKeys: { auth: auth.publicKey }, now })

/** A neighbour that answers RevokeKey and nothing else; `seen` are the calls' metadata. */
async function startNeighbour(
  answer: (request: RevokeKeyRequest, cancelled: Promise<void>) => Promise<void>,
  port = 0,
) {
  const seen: Metadata[] = []
  const server = new Server()
  const away = (_: unknown, done: sendUnaryData<never>) => done({ code: 12, details: '' })
  server.addService(KeyDirectoryServiceService, {
    lookUpKeys: away,
    createSessionKey: away,
    revokeKey: (
      call: ServerUnaryCall<RevokeKeyRequest, RevokeKeyResponse>,
      done: sendUnaryData<RevokeKeyResponse>,
    ) => {
      seen.push(call.metadata)
      const cancelled = new Promise<void>((resolve) => call.on('cancelled', resolve))
      answer(call.request, cancelled).then(
        () => done(null, {}),
        (error) => done(error),
      )
    },
  })
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, chosen) =>
      error ? reject(error) : resolve(chosen),
    ),
  )
  onTestFinished(() => server.forceShutdown())
  return { port: bound, seen, stop: () => server.forceShutdown() }
}

/** Takes connections on a port, and breaks each off. */
async function hangUpOn(port: number) {
  let tries = 0
  const server = createServer((socket) => {
    tries++
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const stop = () => new Promise((resolve) => server.close(resolve))
  onTestFinished(() => void stop())
  return { tries: () => tries, stop }
}

function clientOf(...ports: number[]) {
  const client = createServiceClient({
    definition: KeyDirectoryServiceService,
    target: `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
    credentials: credentials.createInsecure(),
    audience: 'keys',
    sign,
  })
  onTestFinished(() => client.close())
  return client
}

const request = { keyId: 'key_1', reason: 'logout' }

it('asks another replica where one refuses by a wrong clock, three in all', async () => {
  const trailers = statusOf(clocksDiffer(), {})
  const [wrong, right] = [
    await startNeighbour(() => Promise.reject(trailers)),
    await startNeighbour(async () => {}),
  ]
  const clientOf = (...ports: number[]) => {
    const client = createServiceClient({
      definition: KeyDirectoryServiceService,
      target: `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join()}`,
      credentials: credentials.createInsecure(),
      audience: 'keys',
      sign,
    })
    onTestFinished(() => client.close())
    return client
  }
  const request = { keyId: 'key_1', userId: 'user_1', reason: '' }
  const both = clientOf(wrong.port, right.port)
  // The first one, until the second is connected, is whichever was connected first.
  await vi.waitFor(() => both.revokeKey(request))
  await vi.waitFor(async () => {
    await both.revokeKey(request)
    expect(wrong.seen.length).toBeGreaterThan(0)
  })
  const before = right.seen.length
  for (let n = 0; n < 10; n++) await both.revokeKey(request)
  expect(right.seen).toHaveLength(before + 10)

  const asked = wrong.seen.length
  await expect(clientOf(wrong.port).revokeKey(request)).rejects.toMatchObject({ code: 14 })
  expect(wrong.seen).toHaveLength(asked + 3)
})

describe('createServiceClient', () => {
  it("calls with this service's identity", async () => {
    const { port, seen } = await startNeighbour(async () => {})
    expect(await clientOf(port).revokeKey(request)).toEqual({})
    expect(await verify(String(seen[0]?.get(SERVICE_METADATA)[0]))).toBe('auth')
  })

  it("rejects with the neighbour's status", async () => {
    const { port } = await startNeighbour(() => Promise.reject({ code: 5, details: 'There is no such key' }))
    await expect(clientOf(port).revokeKey(request)).rejects.toMatchObject({
      code: 5,
      details: 'There is no such key',
    })
  })

  it('gives up a neighbour that does not answer, and cancels the call there', async () => {
    const cancelled = Promise.withResolvers<void>()
    const { port } = await startNeighbour(async (_, gone) => gone.then(() => cancelled.resolve()))
    await expect(clientOf(port).revokeKey(request)).rejects.toMatchObject({ code: 4 })
    await cancelled.promise
  }, 10_000)

  it("stops when the caller's signal aborts, before the call and during it", async () => {
    const arrived = Promise.withResolvers<void>()
    const { port, seen } = await startNeighbour(async (_, gone) => {
      arrived.resolve()
      await gone
    })
    const client = clientOf(port)
    await expect(client.revokeKey(request, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 1,
    })
    expect(seen).toHaveLength(0)
    const leaving = new AbortController()
    const call = client.revokeKey(request, { signal: leaving.signal })
    await arrived.promise
    leaving.abort()
    await expect(call).rejects.toMatchObject({ code: 1 })
  })

  it('says at once that a neighbour is away', async () => {
    const { port, stop } = await startNeighbour(async () => {})
    const client = clientOf(port)
    await client.revokeKey(request)
    stop()
    await expect(client.revokeKey(request)).rejects.toMatchObject({ code: 14 })
  })

  it('tries again about every second, however long its neighbour is away', async () => {
    const first = await startNeighbour(async () => {})
    const client = clientOf(first.port)
    await client.revokeKey(request)
    first.stop()
    await expect(client.revokeKey(request)).rejects.toMatchObject({ code: 14 })
    const nobody = await hangUpOn(first.port)
    // Within a few seconds; the seventh try would come after 20, left to grpc-js, and those after it ever later.
    await vi.waitFor(
      async () => {
        await expect(client.revokeKey(request)).rejects.toMatchObject({ code: 14 })
        expect(nobody.tries()).toBeGreaterThanOrEqual(7)
      },
      { timeout: 15_000 },
    )
    await nobody.stop()
    await startNeighbour(async () => {}, first.port)
    await vi.waitFor(() => client.revokeKey(request), { timeout: 15_000 })
  }, 40_000)

  it('spreads calls over all addresses and goes on without one that is away', async () => {
    const [one, two] = [await startNeighbour(async () => {}), await startNeighbour(async () => {})]
    const client = clientOf(one.port, two.port)
    await vi.waitFor(
      async () => {
        await client.revokeKey(request)
        expect(one.seen.length).toBeGreaterThan(0)
        expect(two.seen.length).toBeGreaterThan(0)
      },
      { timeout: 5000 },
    )
    one.stop()
    const before = two.seen.length
    await vi.waitFor(() => client.revokeKey(request), { timeout: 5000 })
    for (let i = 0; i < 10; i++) await client.revokeKey(request)
    expect(two.seen.length).toBeGreaterThanOrEqual(before + 10)
  })

  it('does not wait for ever for something that takes connections and says nothing', async () => {
    const silent: NetServer = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as { port: number }
    await expect(clientOf(port).revokeKey(request)).rejects.toMatchObject({ code: expect.toBeOneOf([4, 14]) })
  }, 10_000)
})
