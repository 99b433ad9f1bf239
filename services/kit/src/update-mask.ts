import { invalidFields } from './refusal.ts'
import { snakeCase } from './validate.ts'

/**
 * Which fields an update sets (AIP-134): those that the mask names, else those that are present. Field names are the
 * proto's, in either spelling; "*" names them all. Refuses a name that cannot be updated.
 */
export function fieldsToSet<Field extends string>(
  mask: readonly string[] | undefined,
  allowed: readonly Field[],
  isPresent: (field: Field) => boolean,
): ReadonlySet<Field> {
  if (mask === undefined || mask.length === 0) return new Set(allowed.filter(isPresent))
  if (mask.length === 1 && mask[0] === '*') return new Set(allowed)
  const names = mask.map(snakeCase)
  const unknown = names.find((name) => !(allowed as readonly string[]).includes(name))
  if (unknown !== undefined) {
    const message = `"${unknown.slice(0, 60)}" cannot be updated; name some of ${allowed.join(', ')}`
    throw invalidFields([{ field: 'update_mask', message }])
  }
  return new Set(names as Field[])
}
