import type { PostgresType } from 'postgres'

/**
 * The array types in use, by their OID in pg_type. postgres.js would ask the server for them on every new connection,
 * in a query that nobody awaits: a server that goes away just then would end the process.
 */
export const arrayTypes: Record<string, PostgresType> = {
  textArray: arrayType(1009, (text) => text),
  int8Array: arrayType(1016, (text) => text),
  float8Array: arrayType(1022, Number),
  timestamptzArray: arrayType(1185, (text) => new Date(text)),
}

function arrayType(oid: number, parse: (text: string) => unknown): PostgresType {
  return { to: oid, from: [oid], serialize: writeArray, parse: (text: string) => readArray(text).map(parse) }
}

// One dimension, no nulls: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
function writeArray(items: readonly (string | number)[]): string {
  return `{${items.map((item) => `"${String(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

const readArray = (text: string) =>
  [...text.matchAll(/"((?:[^"\\]|\\.)*)"|([^{},"]+)/gs)].map(
    ([, quoted, plain]) => quoted?.replace(/\\(.)/gs, '$1') ?? plain ?? '',
  )
