/**
 * A request's headers as HPACK (RFC 7541), without compression by Huffman's code: for the first request of a connection,
 * which has the other side put each into its table, and for all that follow, which are indexes into that table: so do
 * clients that send the same over and over.
 */
export function headerBlocks(headers: Readonly<Record<string, string>>): { first: Buffer; next: Buffer } {
  const entries = Object.entries(headers)
  const size = entries.reduce((sum, [name, value]) => sum + name.length + value.length + ENTRY_OVERHEAD, 0)
  if (size > TABLE_BYTES || entries.length > MAX_ENTRIES) throw new Error('the headers do not fit the table')
  return {
    first: Buffer.concat(
      entries.flatMap(([name, value]) => [Buffer.of(LITERAL_INDEXED), text(name), text(value)]),
    ),
    // The one put there last has the lowest index, behind those that everybody knows.
    next: Buffer.from(entries.map((_, i) => INDEXED | (STATIC_ENTRIES + entries.length - i))),
  }
}

/** The table that both sides begin with has room for so much (SETTINGS_HEADER_TABLE_SIZE). */
export const TABLE_BYTES = 4096
const ENTRY_OVERHEAD = 32
const STATIC_ENTRIES = 61
/** So that an index takes one byte. */
const MAX_ENTRIES = 126 - STATIC_ENTRIES
const LITERAL_INDEXED = 0x40
const INDEXED = 0x80

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([lengthOf(bytes), bytes])
}

/** An integer with a prefix of seven bits (section 5.1). */
function lengthOf({ length }: Buffer): Buffer {
  if (length < 127) return Buffer.of(length)
  const bytes = [127]
  let rest = length - 127
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}
