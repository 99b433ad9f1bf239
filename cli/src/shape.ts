/** The path of the first field that is not as it must be ("api_key.id", "" for the value itself), or undefined. */
export type Shape = (value: unknown) => string | undefined

const kind =
  (is: (value: unknown) => boolean): Shape =>
  (value) =>
    is(value) ? undefined : ''

/** A string. */
export const text = kind((value) => typeof value === 'string')
/** A string that can be sent as a bearer: printable ASCII without blanks, at most 4 KiB. */
export const secret = kind((value) => typeof value === 'string' && /^[\x21-\x7e]{1,4096}$/.test(value))
/** A time, RFC 3339. */
export const time = kind((value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)))
/** A number. */
export const number = kind((value) => typeof value === 'number')
/** True or false. */
export const flag = kind((value) => typeof value === 'boolean')

/** May be left out. */
export const optional =
  (shape: Shape): Shape =>
  (value) =>
    value === undefined ? undefined : shape(value)

/** A list of such values. */
export const list =
  (shape: Shape): Shape =>
  (value) => {
    if (!Array.isArray(value)) return ''
    for (const item of value) {
      const fault = shape(item)
      if (fault !== undefined) return fault
    }
    return undefined
  }

/** An object with these fields; others are not looked at. */
export function fields(shapes: Readonly<Record<string, Shape>>): Shape {
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return ''
    for (const [name, shape] of Object.entries(shapes)) {
      const fault = shape(Object.hasOwn(value, name) ? value[name as keyof typeof value] : undefined)
      if (fault !== undefined) return fault === '' ? name : `${name}.${fault}`
    }
    return undefined
  }
}
