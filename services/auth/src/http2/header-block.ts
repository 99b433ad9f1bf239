/**
 * Encodes header fields as literals that no table keeps (RFC 7541 §6.2.2): the same bytes at any time and on any
 * connection, so that what is answered often is encoded once.
 */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), ...text(name), ...text(value)]),
  )
}

/** Says that no table is kept (RFC 7541 §6.3): due where a peer has made its own smaller than it was. */
export const NO_TABLE = Buffer.of(0x20)

function text(value: string): [Buffer, Buffer] {
  const bytes = Buffer.from(value, 'latin1')
  return [length(bytes.length), bytes]
}

/** An integer with a prefix of seven bits (RFC 7541 §5.1); the bit before them is 0: no Huffman code. */
function length(value: number): Buffer {
  if (value < 127) return Buffer.of(value)
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}
