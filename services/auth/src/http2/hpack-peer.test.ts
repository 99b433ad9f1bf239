import { connect, type OutgoingHttpHeaders, sensitiveHeaders } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Random, randomOf } from '../../test/random.ts'
import { type HeaderField, HpackDecoder } from './hpack-decoder.ts'
import { FRAME_HEAD_BYTES, frameFlag, frameType, PREFACE } from './protocol.ts'
import { staticTable } from './static-table.ts'

/** The header blocks that node:http2's own client writes for these, where the server's table may be so large. */
async function blocksOf(requests: readonly OutgoingHttpHeaders[], tableBytes: number): Promise<Buffer[]> {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer(accepted.resolve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    maxSendHeaderBlockLength: 1_000_000,
    maxDeflateDynamicTableSize: 8192,
  })
  onTestFinished(() => {
    session.destroy()
    server.close()
  })
  session.on('error', () => {})
  const socket = await accepted.promise
  const known = new Promise((resolve) => session.once('remoteSettings', resolve))
  // SETTINGS_HEADER_TABLE_SIZE is 1.
  const settings = Buffer.from([0, 0, 6, frameType.SETTINGS, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
  settings.writeUInt32BE(tableBytes, settings.length - 4)
  socket.write(settings)
  await known
  for (const headers of requests) session.request(headers, { endStream: true }).on('error', () => {})
  return blocksIn(socket, requests.length)
}

/** So many header blocks of what a client says. */
async function blocksIn(socket: Socket, count: number): Promise<Buffer[]> {
  const blocks: Buffer[] = []
  let block: Buffer[] = []
  let bytes = Buffer.alloc(0)
  let at = PREFACE.length
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer])
    while (bytes.length >= at + FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3)
      if (bytes.length < end) break
      const [type, flags] = [bytes.readUInt8(at + 3), bytes.readUInt8(at + 4)]
      const start = at + FRAME_HEAD_BYTES + (type === frameType.HEADERS && flags & frameFlag.PRIORITY ? 5 : 0)
      at = end
      if (type !== frameType.HEADERS && type !== frameType.CONTINUATION) continue
      block.push(bytes.subarray(start, end))
      if (!(flags & frameFlag.END_HEADERS)) continue
      if (blocks.push(Buffer.concat(block)) === count) return blocks
      block = []
    }
  }
  throw new Error('the client left')
}

/** The fields that headers come to, in order. */
const fieldsOf = (headers: OutgoingHttpHeaders): HeaderField[] =>
  Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => ({ name: name.toLowerCase(), value: String(value) })),
  )

const oneOf = <T>(random: Random, list: readonly T[]) => list[random(list.length)] as T
const letters = (random: Random, length: number, first: number, last: number) =>
  String.fromCharCode(...Array.from({ length }, () => first + random(last - first + 1)))

// What HTTP/1.1 says of a connection, HTTP/2 does not; the client holds to that, and to one value each for some.
const SINGLE = new Set(['content-length', 'host', 'transfer-encoding', 'content-range', 'te'])
const KNOWN = [...new Set(staticTable.map(({ name }) => name))].filter(
  (name) => !name.startsWith(':') && !SINGLE.has(name),
)
const REPEATED = ['cookie', 'set-cookie', 'vary', 'via', 'accept', 'x-many', 'X-Upper']

function randomValue(random: Random): string {
  const length = oneOf(random, [0, 1, 2, random(20), random(20), random(200), random(2000)])
  const [first, last] = oneOf(random, [
    [48, 57],
    [97, 122],
    [33, 126],
    [33, 126],
    [128, 255],
    [33, 255],
  ] as const)
  return letters(random, length, first, last)
}

function randomRequest(random: Random, said: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ':method': oneOf(random, ['GET', 'POST', 'PUT', 'BREW']),
    ':path': `/${letters(random, random(30), 97, 122)}`,
    ':scheme': oneOf(random, ['http', 'https']),
    ':authority': oneOf(random, ['one', 'two', 'three.example:80']),
  }
  const sensitive: string[] = []
  for (let count = random(30); count > 0; count--) {
    const name = oneOf(random, [oneOf(random, KNOWN), `x-${letters(random, 1 + random(3), 97, 105)}`])
    headers[name] = random(2) === 0 ? oneOf(random, said) : randomValue(random)
    if (random(10) === 0) sensitive.push(name)
  }
  if (random(4) === 0) {
    const name = oneOf(random, REPEATED)
    delete headers[name]
    headers[name] = Array.from({ length: 1 + random(4) }, () => randomValue(random))
  }
  return { ...headers, [sensitiveHeaders]: sensitive }
}

describe('what node:http2 writes', () => {
  const limits = { maxListBytes: 1_000_000, maxFields: 1000 }
  const decodeAll = (blocks: readonly Buffer[], decoder: HpackDecoder) =>
    blocks.map((block) => {
      const fields: HeaderField[] = []
      expect(decoder.decode(block, 0, block.length, fields)).toBe(true)
      return fields
    })

  it.each([0, 32, 100, 256, 1000, 4095, 4096, 8192])(
    'is read as it was said, in order, with a table of %i bytes',
    async (maxTableBytes) => {
      const random = randomOf(maxTableBytes + 1)
      const said = Array.from({ length: 40 }, () => randomValue(random))
      const requests = Array.from({ length: 60 }, () => randomRequest(random, said))
      const blocks = await blocksOf(requests, maxTableBytes)
      const lists = decodeAll(blocks, new HpackDecoder({ ...limits, maxTableBytes }))
      expect(lists).toEqual(requests.map(fieldsOf))
    },
  )

  it('is read where it takes several frames', async () => {
    const random = randomOf(1)
    const requests = Array.from({ length: 3 }, (_, request) =>
      Object.fromEntries([
        [':method', 'GET'],
        [':path', '/'],
        [':scheme', 'http'],
        [':authority', 'one'],
        ...Array.from({ length: 40 }, (_, index) => [
          `x-${request}-${index}`,
          letters(random, 1000, 33, 255),
        ]),
      ]),
    )
    const blocks = await blocksOf(requests, 4096)
    for (const block of blocks) expect(block.length).toBeGreaterThan(2 * 16_384)
    expect(decodeAll(blocks, new HpackDecoder(limits))).toEqual(requests.map(fieldsOf))
  })

  it('of the names that every peer knows are bytes that name them', async () => {
    const request = {
      ':method': 'GET',
      ':path': '/',
      ':scheme': 'http',
      ':authority': 'one',
      ...Object.fromEntries(KNOWN.map((name) => [name, ''])),
    }
    const [block] = await blocksOf([request], 4096)
    expect(block?.length).toBeLessThan(3 * KNOWN.length)
    expect(decodeAll([block as Buffer], new HpackDecoder(limits))).toEqual([fieldsOf(request)])
  })

  it('is read as it was said, or not at all, once it is cut short', async () => {
    const random = randomOf(2)
    const requests = Array.from({ length: 8 }, () => randomRequest(random, ['once', 'twice']))
    const blocks = await blocksOf(requests, 4096)
    const outcomes = { read: 0, refused: 0 }
    for (const [index, block] of blocks.entries()) {
      const whole = fieldsOf(requests[index] as OutgoingHttpHeaders)
      for (let end = 0; end < block.length; end++) {
        const decoder = new HpackDecoder(limits)
        for (const before of blocks.slice(0, index)) decoder.decode(before, 0, before.length, [])
        const fields: HeaderField[] = []
        try {
          decoder.decode(block, 0, end, fields)
          outcomes.read++
        } catch (error) {
          expect(error).toMatchObject({ name: 'HpackError', message: 'a block that ends within a field' })
          outcomes.refused++
        }
        expect(fields).toEqual(whole.slice(0, fields.length))
      }
    }
    // The first block may end after the size of the table, too.
    expect(outcomes.read).toBe(requests.flatMap(fieldsOf).length + 1)
    expect(outcomes.refused).toBeGreaterThan(1000)
  })
})
