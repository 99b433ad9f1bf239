/**
 * A message of the contract as REST writes it: names in snake_case, times as text. A message within it is taken to be
 * there, for the API never leaves one out of what the command asks for; a time may be absent.
 */
export type Json<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Name in keyof T as Name extends string ? SnakeCase<Name> : Name]: Json<Present<T[Name]>> }
      : T

type Present<T> = NonNullable<T> extends Date ? T : NonNullable<T> extends object ? NonNullable<T> : T

/** "createdAt" → "created_at", of types. */
type SnakeCase<S extends string> = S extends `${infer Head}${infer Tail}`
  ? Head extends Lowercase<Head>
    ? `${Head}${SnakeCase<Tail>}`
    : `_${Lowercase<Head>}${SnakeCase<Tail>}`
  : S
