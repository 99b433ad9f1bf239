import { type Client, Metadata } from '@grpc/grpc-js'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { refused } from '@instatunnel/test/refused'
import { describe, expect, it } from 'vitest'
import { deleted, serveKeys } from '../test/serve-keys.ts'
import { invalidFields, Refusal } from './refusal.ts'
import { descriptorsFile, readRules } from './rules.ts'
import { createTransport } from './tls.ts'
import { implement } from './unary.ts'

const PATH = '/instatunnel.keys.v1.ApiKeyService/'

/** Sends bytes as they are, as a client of no code generator would. */
const send = (channel: Client, rpc: string, bytes: Buffer) =>
  new Promise((resolve, reject) => {
    const itself = (buffer: Buffer) => buffer
    channel.makeUnaryRequest(PATH + rpc, itself, itself, bytes, new Metadata(), (error, response) =>
      error ? reject(error) : resolve(response),
    )
  })

const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)])
const field = (tag: number, bytes: Buffer) =>
  Buffer.concat([Buffer.from([tag, ...varint(bytes.length)]), bytes])
/** One entry of a protobuf Struct, by hand: generated writers cannot write this name. */
const entry = (name: string, value: Buffer) =>
  field(0x0a, Buffer.concat([field(0x0a, Buffer.from(name)), field(0x12, value)]))
const numberValue = Buffer.from([0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]) // 1
const structValue = (entries: Buffer) => field(0x2a, entries)
const listValue = (value: Buffer) => field(0x32, field(0x0a, value))
const metadataField = (entries: Buffer) => field(0x2a, entries)

describe('a request that cannot be read', () => {
  const deep = Array.from({ length: 200 }).reduce<Buffer>(
    (inner) => entry('a', structValue(inner)),
    entry('a', numberValue),
  )
  it.each([
    ['JSON', Buffer.from('{"name":"x"}')],
    ['a message that ends early', Buffer.from([0x0a, 0x7f, 0x61])],
    ['a number without end', Buffer.alloc(32, 0xff)],
    ['a wire type that there is none of', Buffer.from([0x0f, 0x01])],
    ['an object 200 levels deep', metadataField(deep)],
  ])('is the fault of who sent %s, and nothing that we log', async (_, bytes) => {
    const { channel, keys, logged } = await serveKeys({
      createKey: async () => ({ apiKey: undefined, key: 'made' }),
    })
    const message = 'The request is not a message of this rpc'
    expect(await refused(send(channel, 'CreateKey', bytes))).toEqual({
      code: 'INVALID_ARGUMENT',
      message,
      reason: 'UNREADABLE_REQUEST',
      metadata: {},
      http: 400,
      body: { error: 'validation_error', message, code: 4000 },
    })
    expect(logged).toEqual([])
    expect(await keys.createKey()).toMatchObject({ key: 'made' })
  })

  it('is not read at all for a caller that is not admitted', async () => {
    const { channel } = await serveKeys(
      {},
      { guard: () => Promise.reject(new Refusal('CREDENTIAL_MISSING', 'No credential')) },
    )
    for (const bytes of [Buffer.from('{"name":"x"}'), metadataField(deep)])
      expect(await refused(send(channel, 'CreateKey', bytes))).toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it.each([
    ['at the top', metadataField(entry('__proto__', numberValue))],
    ['in an object', metadataField(entry('a', structValue(entry('__proto__', numberValue))))],
    [
      'in a list in an object',
      metadataField(entry('a', listValue(structValue(entry('__proto__', numberValue))))),
    ],
    ['holding an object', metadataField(entry('__proto__', structValue(entry('isAdmin', numberValue))))],
  ])('names something "__proto__" %s', async (_, bytes) => {
    const { channel } = await serveKeys({ createKey: async () => ({ apiKey: undefined, key: 'made' }) })
    expect(await refused(send(channel, 'CreateKey', bytes))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: '"__proto__" is not accepted as a name',
      body: { error: 'validation_error', message: '"__proto__" is not accepted as a name', code: 4000 },
    })
  })

  it.each([
    ['length', [0x0a, 0x89, 0x00]],
    ['length, and longer', [0x0a, 0x89, 0x80, 0x80, 0x00]],
    ['tag', [0x8a, 0x00, 0x09]],
    ['tag and length', [0x8a, 0x80, 0x00, 0x89, 0x00]],
  ])('names something "__proto__", its %s written longer than it need be', async (_, head) => {
    const { channel } = await serveKeys({ createKey: async () => ({ apiKey: undefined, key: 'made' }) })
    const name = Buffer.concat([Buffer.from(head), Buffer.from('__proto__')])
    const value = field(0x12, structValue(entry('isAdmin', numberValue)))
    const bytes = metadataField(field(0x0a, Buffer.concat([name, value])))
    expect(await refused(send(channel, 'CreateKey', bytes))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: '"__proto__" is not accepted as a name',
    })
  })

  it('may say __proto__ in a text', async () => {
    const { keys } = await serveKeys({ createKey: async ({ name }) => ({ apiKey: undefined, key: name }) })
    const name = 'all about __proto__'
    expect(await keys.createKey({ name, metadata: { note: '__proto__' } })).toMatchObject({ key: name })
  })
})

describe('a handler', () => {
  it('answers, and sets headers', async () => {
    const { keys } = await serveKeys({
      deleteKey: async ({ id }, call) => {
        call.setHeader('set-cookie', 'session=1; Path=/')
        call.setHeader('x-id', id)
        return deleted
      },
    })
    const headers: Metadata[] = []
    expect(await keys.deleteKey({ id: 'key_1' }, { onHeaders: (sent) => headers.push(sent) })).toEqual(
      deleted,
    )
    expect(headers[0]?.get('set-cookie')).toEqual(['session=1; Path=/'])
    expect(headers[0]?.get('x-id')).toEqual(['key_1'])
  })

  it('is not asked where the guard refuses', async () => {
    const guard = async () => {
      throw new Refusal('CREDENTIAL_MISSING', 'Invalid or missing API key')
    }
    const { keys, logged } = await serveKeys({}, { guard })
    expect(await refused(keys.listKeys())).toMatchObject({ code: 'UNAUTHENTICATED', http: 401 })
    expect(logged).toEqual([])
  })

  it('refuses by its own table, with nothing in the log', async () => {
    const { keys, logged } = await serveKeys(
      {
        getKey: async () => {
          throw new Refusal('KEY_NOT_FOUND', 'Key not found')
        },
      },
      { refusals: { KEY_NOT_FOUND: 'not_found' } },
    )
    expect(await refused(keys.getKey({ id: 'x' }))).toEqual({
      code: 'NOT_FOUND',
      message: 'Key not found',
      reason: 'KEY_NOT_FOUND',
      metadata: {},
      http: 404,
      body: { error: 'not_found', message: 'Key not found', code: 4004 },
    })
    expect(logged).toEqual([])
  })

  it.each([
    ['an error', () => Object.assign(new Error('select pw from users'), { query: 'select pw' })],
    ['a text', () => 'select pw from users'],
    ['nothing', () => undefined],
    ['what grpc-js would pass on', () => ({ code: 5, details: 'select pw from users' })],
  ])(
    'that throws %s answers INTERNAL without a word of it, and logs it with the method',
    async (_, thrown) => {
      const { keys, logged } = await serveKeys({ listKeys: () => Promise.reject(thrown()) })
      const answer = await refused(keys.listKeys())
      expect(answer).toEqual({
        code: 'INTERNAL',
        message: 'Something went wrong on our side.',
        reason: 'INTERNAL',
        metadata: {},
        http: 500,
        body: { error: 'internal', message: 'Something went wrong on our side.', code: 5000 },
      })
      expect(logged).toHaveLength(1)
      expect(JSON.parse(logged[0] as string)).toMatchObject({ method: `${PATH}ListKeys`, msg: 'failed' })
    },
  )

  it('that throws before it returns a promise answers INTERNAL as well', async () => {
    const { keys } = await serveKeys({
      listKeys: () => {
        throw new TypeError('x is not a function')
      },
    })
    expect(await refused(keys.listKeys())).toMatchObject({ code: 'INTERNAL', http: 500 })
  })

  it('that finds a neighbour away answers UNAVAILABLE, and the log says which call', async () => {
    const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const { keys, logged } = await serveKeys({ listKeys: () => Promise.reject(away) })
    expect(await refused(keys.listKeys())).toMatchObject({
      code: 'UNAVAILABLE',
      retryAfterSeconds: 1,
      http: 503,
      body: { error: 'unavailable', retry_after: 1 },
    })
    expect(JSON.parse(logged[0] as string)).toMatchObject({ method: `${PATH}ListKeys` })
  })

  it('hears that its caller went away', async () => {
    const heard = Promise.withResolvers<string>()
    const { keys, logged } = await serveKeys({
      listKeys: async (_, { signal }) => {
        hanging.abort()
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        heard.resolve('aborted')
        throw new Error('the database call was cancelled')
      },
    })
    const hanging = new AbortController()
    expect(await refused(keys.listKeys({}, { signal: hanging.signal }))).toMatchObject({ code: 'CANCELLED' })
    expect(await heard.promise).toBe('aborted')
    expect(logged).toEqual([])
  })

  it('hears of no end once it has answered, with whatever', async () => {
    const signals: AbortSignal[] = []
    const { keys } = await serveKeys({
      listKeys: async (_, { signal }) => {
        signals.push(signal)
        if (signals.length === 2) throw new Refusal('UNAVAILABLE', 'not now')
        return { keys: [], nextPageToken: '' }
      },
    })
    await keys.listKeys()
    await refused(keys.listKeys())
    await keys.listKeys()
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false, false])
  })

  // What a client wrote may stand in a message: neither its characters nor its length may break the answer.
  it.each([
    ['half a surrogate pair', [{ field: 'name', message: '"\ud83e" is not accepted' }]],
    ['line breaks', [{ field: 'name', message: '\r\ngrpc-status: 0\r\n' }]],
    ['nul', [{ field: 'a\0b', message: '\0' }]],
    [
      'ten thousand faults of the longest characters',
      Array(10_000).fill({ field: '漢'.repeat(5000), message: '字'.repeat(5000) }),
    ],
  ])('may refuse with %s and the caller still learns why', async (_, violations) => {
    const { keys } = await serveKeys({ listKeys: () => Promise.reject(invalidFields(violations)) })
    const answer = await refused(keys.listKeys())
    expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS', http: 400 })
    expect(answer.body.fields.length).toBe(Math.min(violations.length, 10))
  })
})

describe('a replica that is not ready', () => {
  it('answers nothing but 503, and serves again when it is', async () => {
    let isReady = false
    const { keys } = await serveKeys(
      { listKeys: async () => ({ keys: [], nextPageToken: '' }) },
      { isReady: () => isReady },
    )
    expect(await refused(keys.listKeys())).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CLOCKS_DIFFER',
      retryAfterSeconds: 1,
      http: 503,
    })
    isReady = true
    expect((await keys.listKeys()).keys).toEqual([])
  })
})

describe('implement', () => {
  it('throws for an rpc without a handler or a rule, naming it', () => {
    const edge = {
      guard: async () => ({ kind: 'anyone' as const, address: '' }),
      rules: readRules(descriptorsFile()),
      refusals: {},
      log: undefined as never,
      certifiedOf: createTransport({ services: [] }).certifiedOf,
      isReady: () => true,
    }
    expect(() => implement(ApiKeyServiceService, {}, edge)).toThrow(`${PATH}ListKeys has no handler`)
    expect(() => implement(ApiKeyServiceService, {}, { ...edge, rules: new Map() })).toThrow(
      `${PATH}ListKeys has no access rule`,
    )
  })
})
