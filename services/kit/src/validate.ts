import type { z } from 'zod'
import { invalidFields } from './refusal.ts'

/** Parses what a request holds, or refuses with every field at fault by its name on the wire. */
export function validate<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  throw invalidFields(parsed.error.issues.map(({ path, message }) => ({ field: wireName(path), message })))
}

/** "pageSize" → "page_size": the proto's name of a field. */
export const snakeCase = (name: string) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)

/** Control characters (C0, DEL, C1) and lone surrogates: in no text that people see. */
export const hasControls = (text: string) => /[\p{Cc}\p{Cs}]/u.test(text)

function wireName(path: readonly PropertyKey[]): string {
  const [first = 'request', ...rest] = path
  return rest.reduce<string>(
    (name, part) => (typeof part === 'number' ? `${name}[${part}]` : `${name}.${String(part)}`),
    snakeCase(String(first)),
  )
}
