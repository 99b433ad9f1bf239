/** A field of a protobuf message that has a length, of parts, whose number is at most 15. */
export function field(id: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  const bytes = Buffer.allocUnsafe(lengthOfField(content.length))
  bytes.set(content, begin(bytes, 0, id, content.length))
  return bytes
}

/** A field that is a number, from 0 to 2^14 - 1. */
export const numberField = (id: number, value: number): Buffer =>
  Buffer.from(value < 128 ? [id << 3, value] : [id << 3, (value & 127) | 128, value >> 7])

/** How long a field is that holds so many bytes: with its tag and its length. */
export function lengthOfField(length: number): number {
  let bytes = 2 + length
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}

/** Writes a field's tag and length; says where its content begins. */
export function begin(bytes: Buffer, at: number, id: number, length: number): number {
  bytes[at] = (id << 3) | 2
  let next = at + 1
  let rest = length
  for (; rest >= 128; rest >>>= 7) bytes[next++] = (rest & 127) | 128
  bytes[next] = rest
  return next + 1
}

/** Writes what is encoded already; says where it ends. */
export function put(bytes: Buffer, at: number, part: Uint8Array): number {
  bytes.set(part, at)
  return at + part.length
}
