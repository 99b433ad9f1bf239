import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Client, credentials, loadPackageDefinition, type Metadata, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { refused } from '@instatunnel/test/refused'
import { protoPath as healthProto } from 'grpc-health-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { deleted, serveKeys } from '../test/serve-keys.ts'
import { descriptorsFile } from './rules.ts'
import { serve } from './server.ts'
import { createTransport } from './tls.ts'

const PATH = '/instatunnel.keys.v1.ApiKeyService/'

// biome-ignore lint/suspicious/noExplicitAny: loaded at run time, as grpcurl does
type Loaded = any
const stub = (proto: string, service: (root: Loaded) => Loaded, port: number) => {
  const client = new (service(loadPackageDefinition(loadSync(proto, { enums: String }))))(
    `127.0.0.1:${port}`,
    credentials.createInsecure(),
  )
  onTestFinished(() => client.close())
  return client
}
const healthOf = (port: number) => stub(healthProto, (root) => root.grpc.health.v1.Health, port)
const reflectionOf = (port: number) => {
  const proto = new URL(
    '../proto/grpc/reflection/v1/reflection.proto',
    import.meta.resolve('@grpc/reflection'),
  )
  return stub(proto.pathname, (root) => root.grpc.reflection.v1.ServerReflection, port)
}

describe('serve', () => {
  it('tells the port that any free one became', async () => {
    const { serving } = await serveKeys({})
    expect(serving.port).toBeGreaterThan(0)
    const socket = connect(serving.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
  })

  it('does not start on a port that is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as { port: number }
    await expect(
      serve({
        listen: `127.0.0.1:${port}`,
        credentials: createTransport({ services: [] }).server,
        services: [],
        descriptors: descriptorsFile(),
      }),
    ).rejects.toThrow(/EADDRINUSE|No address added/)
  })

  it('says in its health whether it is ready', async () => {
    const { serving } = await serveKeys({})
    const health = () =>
      new Promise((resolve) =>
        healthOf(serving.port).check({ service: '' }, (_: unknown, answer: { status: string }) =>
          resolve(answer.status),
        ),
      )
    expect(await health()).toBe('SERVING')
    serving.setHealth('', false)
    expect(await health()).toBe('NOT_SERVING')
    serving.setHealth('', true)
    expect(await health()).toBe('SERVING')
  })

  it('answers the health check, of the whole and of what may be amiss while calls are served', async () => {
    const { serving } = await serveKeys({})
    const check = (service: string) =>
      new Promise((resolve, reject) =>
        healthOf(serving.port).check({ service }, (error: ServiceError | null, answer: unknown) =>
          error ? reject(error) : resolve(answer),
        ),
      )
    expect(await check('')).toEqual({ status: 'SERVING' })
    serving.setHealth('events', false)
    expect(await check('events')).toEqual({ status: 'NOT_SERVING' })
    expect(await check('')).toEqual({ status: 'SERVING' })
  })

  it('answers reflection with the very descriptors that it serves by', async () => {
    const { serving } = await serveKeys({})
    const stream = reflectionOf(serving.port).serverReflectionInfo()
    stream.write({ listServices: '*' })
    const [services] = await once(stream, 'data')
    const names = services.listServicesResponse.service.map(({ name }: { name: string }) => name)
    expect(names).toContain('instatunnel.keys.v1.ApiKeyService')
    stream.write({ fileContainingSymbol: 'instatunnel.keys.v1.ApiKeyService' })
    const [file] = await once(stream, 'data')
    expect(file.fileDescriptorResponse.fileDescriptorProto.length).toBeGreaterThan(0)
    stream.end()
    stream.cancel()
    stream.on('error', () => {})
  })

  it('answers UNIMPLEMENTED for a method that there is none of', async () => {
    const { channel } = await serveKeys({})
    const itself = (buffer: Buffer) => buffer
    const call = new Promise((resolve, reject) =>
      channel.makeUnaryRequest(`${PATH}DropKeys`, itself, itself, Buffer.alloc(0), (error, answer) =>
        error ? reject(error) : resolve(answer),
      ),
    )
    expect(await refused(call)).toMatchObject({ code: 'UNIMPLEMENTED' })
  })

  it('reads no request past 2 MiB, and serves on', async () => {
    const { keys } = await serveKeys({
      createKey: async ({ name }) => ({ apiKey: undefined, key: `${name.length}` }),
    })
    expect(await refused(keys.createKey({ name: 'x'.repeat(2 * 1024 * 1024) }))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    })
    expect(await keys.createKey({ name: 'x'.repeat(1024 * 1024) })).toMatchObject({ key: '1048576' })
  })

  it('survives a client that speaks no HTTP/2', async () => {
    const { serving, keys } = await serveKeys({
      deleteKey: async () => deleted,
    })
    const socket = connect(serving.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /v1/auth/keys HTTP/1.1\r\nhost: x\r\n\r\n')
    await once(socket.resume(), 'close')
    expect(await keys.deleteKey()).toEqual(deleted)
  })

  it('lets a call in flight finish when it is closed, and takes no other', async () => {
    const arrived = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const { serving, keys } = await serveKeys({
      deleteKey: async () => {
        arrived.resolve()
        await release.promise
        return deleted
      },
    })
    const inFlight = keys.deleteKey()
    await arrived.promise
    const closed = serving.close()
    const late = new Client(`127.0.0.1:${serving.port}`, credentials.createInsecure())
    onTestFinished(() => late.close())
    const itself = (buffer: Buffer) => buffer
    const refusedLate = new Promise((resolve, reject) =>
      late.makeUnaryRequest(`${PATH}DeleteKey`, itself, itself, Buffer.alloc(0), (error, answer) =>
        error ? reject(error) : resolve(answer),
      ),
    )
    await expect(refusedLate).rejects.toMatchObject({ code: 14 })
    release.resolve()
    expect(await inFlight).toEqual(deleted)
    await closed
  })

  it('says NOT_SERVING to those who watch before it goes', async () => {
    const release = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const { serving, keys } = await serveKeys({
      deleteKey: async () => {
        arrived.resolve()
        await release.promise
        return deleted
      },
    })
    const seen: string[] = []
    const watch = healthOf(serving.port).watch({ service: '' })
    const gone = Promise.withResolvers<void>()
    watch.on('error', () => {})
    watch.on('metadata', (_: Metadata) => {})
    watch.on('data', ({ status }: { status: string }) => {
      seen.push(status)
      if (status === 'NOT_SERVING') gone.resolve()
    })
    await once(watch, 'data')
    const inFlight = keys.deleteKey()
    await arrived.promise
    const closed = serving.close()
    await gone.promise
    expect(seen).toEqual(['SERVING', 'NOT_SERVING'])
    watch.cancel()
    release.resolve()
    await Promise.all([inFlight, closed])
  })
})
