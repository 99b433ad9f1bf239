import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { type HeaderField, HpackDecoder, HpackError } from './hpack-decoder.ts'

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')

/** The fields of a block, as "name: value". */
function decoded(decoder: HpackDecoder, block: string | Buffer): string[] {
  const bytes = typeof block === 'string' ? bytesOf(block) : block
  const fields: HeaderField[] = []
  expect(decoder.decode(bytes, 0, bytes.length, fields)).toBe(true)
  return fields.map(({ name, value }) => `${name}: ${value}`)
}

/** What a decoder's table has, the newest first: as a block that asks for each index would see it. */
function tableOf(decoder: HpackDecoder): string[] {
  const entries: string[] = []
  try {
    for (let index = 62; ; index++) entries.push(...decoded(decoder, integer(0x80, 7, index)))
  } catch (error) {
    expect(error).toBeInstanceOf(HpackError)
    return entries
  }
}

/** An integer after some bits that say what it is (RFC 7541 §5.1). */
function integer(kind: number, prefixBits: number, value: number): Buffer {
  const prefix = 2 ** prefixBits - 1
  if (value < prefix) return Buffer.from([kind | value])
  const bytes = [kind | prefix]
  let rest = value - prefix
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}

const text = (value: string) => Buffer.concat([integer(0, 7, value.length), Buffer.from(value, 'latin1')])
const literal = (kind: number, name: string, value: string) =>
  Buffer.concat([Buffer.from([kind]), text(name), text(value)])
const INDEXED = 0x40
const NOT_INDEXED = 0
const NEVER_INDEXED = 0x10
const resize = (bytes: number) => integer(0x20, 5, bytes)

const DATE = 'Mon, 21 Oct 2013 20:13'
const COOKIE = 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const [GET, HTTP, ROOT, HOST] = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com']
const REQUESTS = [
  [GET, HTTP, ROOT, HOST],
  [GET, HTTP, ROOT, HOST, 'cache-control: no-cache'],
  [GET, ':scheme: https', ':path: /index.html', HOST, 'custom-key: custom-value'],
]
const REQUEST_TABLES = [
  [HOST],
  ['cache-control: no-cache', HOST],
  ['custom-key: custom-value', 'cache-control: no-cache', HOST],
]
const PRIVATE = 'cache-control: private'
const LOCATION = 'location: https://www.example.com'
const RESPONSES = [
  [':status: 302', PRIVATE, `date: ${DATE}:21 GMT`, LOCATION],
  [':status: 307', PRIVATE, `date: ${DATE}:21 GMT`, LOCATION],
  [':status: 200', PRIVATE, `date: ${DATE}:22 GMT`, LOCATION, 'content-encoding: gzip', COOKIE],
]
const RESPONSE_TABLES = [
  [LOCATION, `date: ${DATE}:21 GMT`, PRIVATE, ':status: 302'],
  [':status: 307', LOCATION, `date: ${DATE}:21 GMT`, PRIVATE],
  [COOKIE, 'content-encoding: gzip', `date: ${DATE}:22 GMT`],
]

describe('the examples of RFC 7541, appendix C', () => {
  it.each([
    ['C.2.1', '400a637573746f6d2d6b65790d637573746f6d2d686561646572', 'custom-key: custom-header', 1],
    ['C.2.2', '040c2f73616d706c652f70617468', ':path: /sample/path', 0],
    ['C.2.3', '100870617373776f726406736563726574', 'password: secret', 0],
    ['C.2.4', '82', GET, 0],
  ])('%s', (_, block, field, kept) => {
    const decoder = new HpackDecoder()
    expect(decoded(decoder, block)).toEqual([field])
    expect(tableOf(decoder)).toEqual([field].slice(0, kept))
  })

  it.each([
    {
      title: 'C.3, requests',
      blocks: [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
      lists: REQUESTS,
      tables: REQUEST_TABLES,
    },
    {
      title: 'C.4, requests in the Huffman code',
      blocks: [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ],
      lists: REQUESTS,
      tables: REQUEST_TABLES,
    },
    {
      title: 'C.5, responses and a small table',
      maxTableBytes: 256,
      blocks: [
        `4803333032 580770726976617465 611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54
         6e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
        '4803333037c1c0bf',
        `88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970
         7738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31`,
      ],
      lists: RESPONSES,
      tables: RESPONSE_TABLES,
    },
    {
      title: 'C.6, responses in the Huffman code and a small table',
      maxTableBytes: 256,
      blocks: [
        `488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3`,
        '4883640effc1c0bf',
        `88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007`,
      ],
      lists: RESPONSES,
      tables: RESPONSE_TABLES,
    },
  ])('$title', ({ blocks, lists, tables, maxTableBytes }) => {
    const decoder = new HpackDecoder({ maxTableBytes })
    for (const [index, block] of blocks.entries()) {
      expect(decoded(decoder, block)).toEqual(lists[index])
      expect(tableOf(decoder)).toEqual(tables[index])
    }
  })
})

describe('a field', () => {
  it('of a table is the same object each time', () => {
    const decoder = new HpackDecoder()
    const fields: HeaderField[] = []
    const bytes = Buffer.concat([literal(INDEXED, 'a', 'b'), bytesOf('be be 82 82')])
    decoder.decode(bytes, 0, bytes.length, fields)
    const other = new HpackDecoder()
    other.decode(bytesOf('82'), 0, 1, fields)
    expect(new Set(fields.slice(0, 3)).size).toBe(1)
    expect(new Set(fields.slice(3)).size).toBe(1)
  })

  it('is read where the block is, and added to what there is', () => {
    const bytes = Buffer.concat([bytesOf('ffff'), literal(NOT_INDEXED, 'name', 'value'), bytesOf('ff')])
    const fields = [{ name: 'first', value: '' }]
    expect(new HpackDecoder().decode(bytes, 2, bytes.length - 1, fields)).toBe(true)
    expect(fields).toEqual([
      { name: 'first', value: '' },
      { name: 'name', value: 'value' },
    ])
  })

  it('keeps every byte, as latin1, and is a copy', () => {
    const every = String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte))
    for (const kind of [INDEXED, NOT_INDEXED, NEVER_INDEXED]) {
      const decoder = new HpackDecoder()
      const bytes = literal(kind, every, every)
      const fields: HeaderField[] = []
      decoder.decode(bytes, 0, bytes.length, fields)
      bytes.fill(0)
      expect(fields).toEqual([{ name: every, value: every }])
      expect(tableOf(decoder)).toEqual(kind === INDEXED ? [`${every}: ${every}`] : [])
    }
  })

  it('may be empty, and so may a block', () => {
    const decoder = new HpackDecoder()
    expect(decoded(decoder, literal(NOT_INDEXED, '', ''))).toEqual([': '])
    expect(decoded(decoder, '00 80 80')).toEqual([': '])
    expect(decoded(decoder, '')).toEqual([])
  })

  it('takes its name from either table, by an index of any length', () => {
    const decoder = new HpackDecoder()
    expect(decoded(decoder, Buffer.concat([integer(0, 4, 61), text('x')]))).toEqual(['www-authenticate: x'])
    for (let count = 0; count < 100; count++) decoded(decoder, literal(INDEXED, `n${count}`, ''))
    for (const [kind, bits] of [
      [NOT_INDEXED, 4],
      [NEVER_INDEXED, 4],
      [INDEXED, 6],
    ] as const) {
      const first = tableOf(decoder)[99]?.slice(0, -2)
      expect(decoded(decoder, Buffer.concat([integer(kind, bits, 62 + 99), text('v')]))).toEqual([
        `${first}: v`,
      ])
    }
  })
})

describe('the table', () => {
  const entry = (name: string) => literal(INDEXED, name, 'v'.repeat(64 - 32 - name.length))
  const names = (decoder: HpackDecoder) => tableOf(decoder).map((field) => field.split(':')[0])

  it('drops the oldest for want of room, and not before', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 192 })
    for (const name of ['a', 'b', 'c']) decoded(decoder, entry(name))
    expect(names(decoder)).toEqual(['c', 'b', 'a'])
    decoded(decoder, entry('d'))
    expect(names(decoder)).toEqual(['d', 'c', 'b'])
    decoded(decoder, literal(INDEXED, 'e', 'v'.repeat(32)))
    expect(names(decoder)).toEqual(['e', 'd'])
  })

  it('never takes more than it may, however many fields pass', () => {
    for (const maxTableBytes of [0, 31, 32, 33, 100, 1000, 4096]) {
      const decoder = new HpackDecoder({ maxTableBytes })
      for (let count = 0; count < 1000; count++) {
        decoded(decoder, literal(INDEXED, '', ''))
        decoded(decoder, literal(INDEXED, `${count}`, ''))
      }
      const bytes = tableOf(decoder).reduce((sum, field) => sum + field.length - 2 + 32, 0)
      expect(bytes).toBeLessThanOrEqual(maxTableBytes)
      expect(bytes).toBeGreaterThan(maxTableBytes - 36)
    }
  })

  it('is emptied by a field that is larger than it, which is read all the same', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 128 })
    decoded(decoder, Buffer.concat([entry('a'), entry('b')]))
    const large = `large: ${'v'.repeat(128)}`
    expect(decoded(decoder, literal(INDEXED, 'large', 'v'.repeat(128)))).toEqual([large])
    expect(tableOf(decoder)).toEqual([])
    decoded(decoder, entry('c'))
    expect(names(decoder)).toEqual(['c'])
  })

  it('holds a field that fills it, whose name is that of one it drops', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 64 })
    decoded(decoder, entry('a'))
    expect(decoded(decoder, Buffer.concat([integer(INDEXED, 6, 62), text('w'.repeat(31))]))).toEqual([
      `a: ${'w'.repeat(31)}`,
    ])
    expect(tableOf(decoder)).toEqual([`a: ${'w'.repeat(31)}`])
  })

  it('is resized at the head of a block, as often as a peer likes', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 192 })
    decoded(decoder, Buffer.concat([entry('a'), entry('b'), entry('c')]))
    decoded(decoder, resize(191))
    expect(names(decoder)).toEqual(['c', 'b'])
    decoded(decoder, Buffer.concat([resize(64), resize(192), entry('d')]))
    expect(names(decoder)).toEqual(['d', 'c'])
    decoded(decoder, Buffer.concat([resize(0), resize(192)]))
    expect(names(decoder)).toEqual([])
    decoded(decoder, Buffer.concat([resize(0), entry('e')]))
    expect(names(decoder)).toEqual([])
  })

  it('keeps nothing of what it has dropped', async () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const decoder = new HpackDecoder()
    const dropped = [entry('a'), entry('b')].map((block) => {
      const fields: HeaderField[] = []
      decoder.decode(block, 0, block.length, fields)
      return new WeakRef(fields[0] as HeaderField)
    })
    decoded(decoder, resize(64))
    decoded(decoder, resize(4096))
    // What a WeakRef is of stays for as long as the turn that made it.
    await new Promise(setImmediate)
    collectGarbage()
    expect(dropped.map((field) => field.deref()?.name)).toEqual([undefined, 'b'])
  })

  it('is of 4096 bytes until the peer asks for more of what it may have', () => {
    const decoder = new HpackDecoder({ maxTableBytes: 8192 })
    const large = literal(INDEXED, 'a', 'v'.repeat(4096 - 33))
    decoded(decoder, Buffer.concat([large, large]))
    expect(tableOf(decoder)).toHaveLength(1)
    decoded(decoder, Buffer.concat([resize(8192), large]))
    expect(tableOf(decoder)).toHaveLength(2)
  })

  it('counts its changes, so that the same bytes may be known for the same fields', () => {
    const decoder = new HpackDecoder()
    const changed = (block: Buffer) => {
      const before = decoder.changes
      decoded(decoder, block)
      return decoder.changes !== before
    }
    expect(changed(entry('a'))).toBe(true)
    expect(changed(bytesOf('82 be'))).toBe(false)
    expect(changed(literal(NOT_INDEXED, 'a', 'b'))).toBe(false)
    expect(changed(literal(NEVER_INDEXED, 'a', 'b'))).toBe(false)
    expect(changed(literal(INDEXED, 'a', 'v'.repeat(5000)))).toBe(true)
    expect(changed(resize(4096))).toBe(true)
  })
})

describe('a list that is too long', () => {
  const decode = (decoder: HpackDecoder, block: Buffer) => {
    const fields: HeaderField[] = []
    return [decoder.decode(block, 0, block.length, fields), fields.length]
  }
  const small = literal(INDEXED, 'after', 'v')

  it('by its fields is cut; its table stays right', () => {
    const decoder = new HpackDecoder({ maxFields: 3 })
    expect(decode(decoder, bytesOf('82 82 82'))).toEqual([true, 3])
    expect(decode(decoder, Buffer.concat([bytesOf('82 82 82 82'), small]))).toEqual([false, 3])
    expect(decoded(decoder, 'be')).toEqual(['after: v'])
  })

  it('by its bytes is cut there, even for a field that would fit; its table stays right', () => {
    const decoder = new HpackDecoder({ maxListBytes: 3 * 42 })
    expect(decode(decoder, bytesOf('82 82 82'))).toEqual([true, 3])
    const large = literal(NOT_INDEXED, 'large', 'v'.repeat(90))
    expect(decode(decoder, Buffer.concat([bytesOf('82'), large, bytesOf('82'), small]))).toEqual([false, 1])
    expect(decoded(decoder, 'be')).toEqual(['after: v'])
  })

  it('says nothing of the next one', () => {
    const decoder = new HpackDecoder()
    expect(decode(decoder, Buffer.alloc(65, 0x82))).toEqual([false, 64])
    expect(decode(decoder, Buffer.alloc(64, 0x82))).toEqual([true, 64])
  })

  it('is none for what was there before', () => {
    const decoder = new HpackDecoder({ maxFields: 2 })
    const fields: HeaderField[] = []
    for (let block = 0; block < 3; block++) expect(decoder.decode(bytesOf('82 82'), 0, 2, fields)).toBe(true)
    expect(fields).toHaveLength(6)
  })

  it('of small bytes that mean large ones takes no more memory', () => {
    const decoder = new HpackDecoder()
    decoded(decoder, literal(INDEXED, 'a', 'v'.repeat(4000)))
    expect(decode(decoder, Buffer.alloc(16_000, 0xbe))).toEqual([false, 4])
  })

  it('is still no HPACK where its end is none', () => {
    const decoder = new HpackDecoder({ maxFields: 1 })
    expect(() => decode(decoder, bytesOf('82 82 80'))).toThrow(HpackError)
  })
})

describe('HpackError', () => {
  it.each([
    ['the index 0', '80', 'an index that no field has'],
    ['an index of no entry', 'be', 'an index that no field has'],
    ['an index far beyond', 'ff ffff7f', 'an index that no field has'],
    ['a name of no entry', '7f 00 01 61', 'an index that no field has'],
    ['a name of no entry, not indexed', '0f 30 01 61', 'an index that no field has'],
    ['an index without its end', 'ff', 'a block that ends within a field'],
    ['an index that goes on past the block', 'ff 80 80', 'a block that ends within a field'],
    ['an integer that overflows', 'ff ffffffff 7f', 'an integer that is too large'],
    ['an integer without end', `ff ${'80'.repeat(5000)} 00`, 'an integer that is too large'],
    ['a length without end', `00 7f ${'ff'.repeat(5000)}`, 'an integer that is too large'],
    ['a literal without a name', '40', 'a block that ends within a field'],
    ['a literal without a value', '40 01 61', 'a block that ends within a field'],
    ['an indexed name without a value', '44', 'a block that ends within a field'],
    ['a name longer than the block', '00 02 61', 'a block that ends within a field'],
    ['a value longer than the block', '04 02 61', 'a block that ends within a field'],
    ['a value far longer than the block', '04 7f ffffff7f 61', 'a block that ends within a field'],
    ['Huffman code longer than the block', '04 82 1f', 'a block that ends within a field'],
    ['Huffman code with EOS', '04 84 ffffffff', 'a string that is not in the Huffman code'],
    ['Huffman code with a byte of padding', '04 82 1fff', 'a string that is not in the Huffman code'],
    ['Huffman code with padding of zeros', '04 81 18', 'a string that is not in the Huffman code'],
    ['a table larger than allowed', '3f e2 1f', 'a table that is larger than allowed'],
    ['a table far larger than allowed', '3f ffffff7f', 'a table that is larger than allowed'],
    ['a size without its end', '3f e1', 'a block that ends within a field'],
    ['a size after a field', '82 20', 'a change of the table’s size after a field'],
    ['a size after a literal', '00 01 61 01 62 3f e1 1f', 'a change of the table’s size after a field'],
  ])('is thrown for %s', (_, block, message) => {
    const bytes = bytesOf(block)
    const decode = () => new HpackDecoder().decode(bytes, 0, bytes.length, [])
    expect(decode).toThrow(HpackError)
    expect(decode).toThrow(message)
  })

  it('is thrown for what lies beyond the block, though there are bytes', () => {
    const bytes = bytesOf('04 02 61 62 63')
    expect(() => new HpackDecoder().decode(bytes, 0, 3, [])).toThrow(HpackError)
    expect(() => new HpackDecoder().decode(bytes, 0, 1, [])).toThrow(HpackError)
    expect(new HpackDecoder().decode(bytes, 0, 4, [])).toBe(true)
  })
})
