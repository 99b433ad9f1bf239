const BYTES_MAX = 4096
const DEPTH_MAX = 16
const NUMBER_MAX = 2 ** 53

/** Why a value cannot be a key's metadata; undefined where it can. */
export function metadataFault(metadata: Readonly<Record<string, unknown>>): string | undefined {
  const fault = valueFault(metadata, 1)
  if (fault) return fault
  return Buffer.byteLength(JSON.stringify(metadata)) > BYTES_MAX
    ? `must be at most ${BYTES_MAX} bytes as JSON`
    : undefined
}

function valueFault(value: unknown, depth: number): string | undefined {
  if (typeof value === 'number') return numberFault(value)
  if (typeof value === 'string') return textFault(value)
  if (value === null || typeof value === 'boolean') return undefined
  if (typeof value !== 'object') return 'must hold JSON values only'
  if (depth > DEPTH_MAX) return `must be at most ${DEPTH_MAX} levels deep`
  for (const [name, inner] of Object.entries(value)) {
    const fault = nameFault(name) ?? valueFault(inner, depth + 1)
    if (fault) return fault
  }
  return undefined
}

// NaN and the infinities are no JSON; past 2^53 doubles are no longer exact.
const numberFault = (value: number) =>
  Math.abs(value) <= NUMBER_MAX ? undefined : 'must hold numbers within 2^53 only'

// Postgres keeps neither in JSON.
const textFault = (text: string) =>
  text.includes('\0') || !text.isWellFormed()
    ? 'must hold no NUL characters and no lone surrogates'
    : undefined

// To assign "__proto__" would set an object's prototype, here or in whatever reads the metadata later; a field without a
// name ends the gateway's process when it is printed.
function nameFault(name: string): string | undefined {
  if (name === '') return 'must not hold a field without a name'
  return name === '__proto__' ? 'must not hold the name "__proto__"' : textFault(name)
}
