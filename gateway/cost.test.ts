import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { leastCpuOf, peakMemoryOf } from './test/cost.ts'
import { everyTypePath, startEveryTypeGateway } from './test/every-type.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'

/**
 * What a request costs Envoy: at most in proportion to its size, whatever it holds. The time is that of Envoy's threads on
 * processors, so that a busy machine does not show in it. No service hears of a request: past the transcoder it is refused.
 */

/** A request of about so many bytes: its body, or what is written after the path. */
type Sized = (bytes: number) => { body?: string; after?: string }

const KIB = 1024
const bodySizes = [32, 64, 128, 256].map((size) => size * KIB)
const headSizes = [3, 6, 12, 24].map((size) => size * KIB)
/** Eight times the size may cost this many times as much: 8 in proportion, 64 with the square. */
const mostTimes = 20
/** What is measured beside the request itself: reading it, asking auth, answering. */
const constantMs = 2
/** What Envoy may hold more than at its start, whatever was sent to it before. */
const mostMemory = 96 * KIB * KIB

const filled = (unit: string, bytes: number) => unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes)
const listed = (item: (n: number) => string, bytes: number) => {
  const items: string[] = []
  for (let n = 0, length = 0; length < bytes; n++) length += (items[items.push(item(n)) - 1]?.length ?? 0) + 1
  return items.join(',')
}
/** A field that holds a string, or a list. */
const text =
  (field: string, unit: string): Sized =>
  (bytes) => ({ body: `{"${field}":"${filled(unit, bytes)}"}` })
const list =
  (field: string, item: string): Sized =>
  (bytes) => ({ body: `{"${field}":[${listed(() => item, bytes)}]}` })
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

let gateway: TestGateway

const headers = { authorization: 'Bearer it_0123456789abcdef' }
let memory = 0
const start = async (starting: Promise<TestGateway>) => {
  gateway = await starting
  gateway.auth.check.decide = () => ({ admit: true, headers: { 'x-instatunnel-rpc': 'another' } })
  memory = peakMemoryOf(gateway.envoy.pid)
}

interface Call {
  method: string
  path: string
  sizes: number[]
}

async function expectProportion(sized: Sized, { path, method, sizes }: Call) {
  const { pid } = gateway.envoy
  const costs: number[] = []
  const statuses = new Set<number>()
  for (const size of sizes) {
    const { after = '', body } = sized(size)
    const ask = () => gateway.call(method, `${path}${after}`, { headers, ...(body && { body }) })
    costs.push(await leastCpuOf(pid, 3, async () => statuses.add((await ask()).status)))
  }
  const [first = 0, , , last = 0] = costs
  expect(last, `ms: ${costs.map((cost) => cost.toFixed(1))}`).toBeLessThan(mostTimes * first + constantMs)
  expect(peakMemoryOf(pid) - memory).toBeLessThan(mostMemory)
  for (const status of statuses) expect([400, 404, 500]).toContain(status)
}

describe('a call of the contract', () => {
  beforeAll(() => start(startGateway()))
  afterAll(() => gateway.stop())

  const bodies: Record<string, Sized> = {
    'a mask that would be expanded': text('update_mask', 'a('),
    'a mask that would be expanded, with escapes': text('update_mask', 'a\\u0028'),
    'a mask of many names': text('update_mask', 'name,'),
    'a mask with dots': text('update_mask', 'a.'),
    'a text': text('name', 'a'),
    'a text of escapes': text('name', '\\u00e9'),
    'a text that is no number': text('expires_in', '": invalid value x for type '.slice(1)),
    'a text that is no time': text('expires_at', '2'),
    'a number': (bytes) => ({ body: `{"expires_in":${filled('1', bytes)}}` }),
    'a fraction': (bytes) => ({ body: `{"expires_in":0.${filled('1', bytes)}}` }),
    texts: list('permissions', '"a"'),
    'white space': (bytes) => ({ body: `{${filled(' ', bytes)}}` }),
    'fields that the call does not have': (bytes) => ({
      body: `{${listed((n) => `"field-${n}":1`, bytes)}}`,
    }),
    'a field with a long name': (bytes) => ({ body: `{"${filled('allowed_ip', bytes)}":1}` }),
    'metadata of numbers': (bytes) => ({ body: `{"metadata":{"a":[${listed(() => '1', bytes)}]}}` }),
    'metadata of objects': (bytes) => ({ body: `{"metadata":{"a":[${listed(() => '{}', bytes)}]}}` }),
    'metadata of deep objects': (bytes) => ({
      body: `{"metadata":{"a":[${listed(() => deep(29), bytes)}]}}`,
    }),
    'metadata of many names': (bytes) => ({
      body: `{"metadata":{"a":[${listed(() => `{${listed((n) => `"name-${n}":1`, 10 * KIB)}}`, bytes)}]}}`,
    }),
    'metadata with a long name': (bytes) => ({ body: `{"metadata":{"${filled('.fields', bytes)}":1}}` }),
    'metadata with a long name twice': (bytes) => ({
      body: `{"metadata":{${listed(() => `"${filled('.fields', bytes / 2)}":1`, bytes)}}}`,
    }),
  }
  for (const [name, sized] of Object.entries(bodies)) {
    it(`with ${name} costs at most in proportion`, async () => {
      const mask = name.includes('mask')
      const path = mask ? '/v1/auth/user' : '/v1/auth/keys'
      await expectProportion(sized, { path, method: mask ? 'PATCH' : 'POST', sizes: bodySizes })
    })
  }

  const heads: Record<string, Sized> = {
    'a mask in the query that would be expanded': (bytes) => ({
      after: `?update_mask=${filled('a(', bytes)}`,
    }),
    'the same, encoded': (bytes) => ({ after: `?up%64ate_mask=${filled('a%28', bytes)}` }),
    'masks in the query, one by one': (bytes) => ({ after: `?${filled('update_mask.paths=a(&', bytes)}` }),
    'many parameters': (bytes) => ({ after: `?${filled('name=a&', bytes)}` }),
    'a parameter with a long name': (bytes) => ({ after: `?${filled('a.', bytes)}=1` }),
    'a parameter with a long value': (bytes) => ({ after: `?name=${filled('%61', bytes)}` }),
    'a long path': (bytes) => ({ after: filled('/a', bytes) }),
    'a long segment': (bytes) => ({ after: `/${filled('%20', bytes)}` }),
  }
  for (const [name, sized] of Object.entries(heads)) {
    it(`with ${name} costs at most in proportion`, async () => {
      await expectProportion(sized, { path: '/v1/auth/user', method: 'PATCH', sizes: headSizes })
    })
  }
})

describe('a call with a field of each type', () => {
  beforeAll(() => start(startEveryTypeGateway()))
  afterAll(() => gateway.stop())

  const bodies: Record<string, Sized> = {
    'a FieldMask': text('mask', 'a('),
    FieldMasks: list('masks', `"${filled('a.', KIB)}"`),
    'FieldMasks in messages': (bytes) => ({
      body: `{"inners":[${listed(() => `{"inner":{"mask":"${filled('a,', KIB)}"}}`, bytes)}]}`,
    }),
    'a Timestamp': text('time', '2026-01-01T00:00:00'),
    Timestamps: list('times', '"2026-01-01T00:00:00.123456789+01:00"'),
    'a Duration': text('duration', '1'),
    Durations: list('durations', '"-1.000000001s"'),
    'a Struct': (bytes) => ({ body: `{"struct":{"a":[${listed(() => '{"a":[1,"b",null]}', bytes)}]}}` }),
    'a Value': (bytes) => ({ body: `{"value":[${listed(() => '{"a":[1,"b",null]}', bytes)}]}` }),
    Values: list('values', '{"a":[1,"b",null]}'),
    'a ListValue': list('list', '{"a":[1,"b",null]}'),
    'a StringValue': text('wrapped_string', 'a'),
    StringValues: list('wrapped_strings', '"a"'),
    'a BytesValue': text('wrapped_bytes', 'YQ=='.slice(0, 2)),
    ...Object.fromEntries(
      ['double', 'float', 'int64', 'uint64', 'int32', 'uint32'].map((type) => [
        `a wrapped ${type}`,
        text(`wrapped_${type}`, '1'),
      ]),
    ),
    'a BoolValue': text('wrapped_bool', 'true'),
    bytes: text('data', 'YWJj'),
    numbers: list('numbers', '"1e5"'),
    'a map': (bytes) => ({ body: `{"words":{${listed((n) => `"${n}":""`, Math.min(bytes, 7 * KIB))}}}` }),
    messages: list('inners', '{"inner":{"text":"a","words":{"a":"b"}}}'),
    'deep messages': list('inners', `${'{"inner":'.repeat(29)}{}${'}'.repeat(29)}`),
    'fields that messages do not have': list('inners', '{"Text":1}'),
  }
  for (const [name, sized] of Object.entries(bodies)) {
    it(`with ${name} costs at most in proportion`, async () => {
      await expectProportion(sized, { path: everyTypePath, method: 'POST', sizes: bodySizes })
    })
  }
})
