/** A value that can be written as Lua: strings, true, lists and objects of them. */
type LuaValue = string | true | readonly LuaValue[] | { readonly [name: string]: LuaValue | undefined }

/** Writes a value as Lua source; of an object, what is undefined is left out. */
export function luaTable(value: object): string {
  return write(value as LuaValue)
}

function write(value: LuaValue): string {
  if (typeof value === 'string') return quoted(value)
  if (value === true) return 'true'
  if (Array.isArray(value)) return `{${value.map(write).join(',')}}`
  const fields = Object.entries(value).filter(([, held]) => held !== undefined)
  return `{${fields.map(([name, held]) => `[${quoted(name)}]=${write(held as LuaValue)}`).join(',')}}`
}

function quoted(text: string): string {
  if (!/^[\w./-]*$/.test(text)) throw new Error(`${JSON.stringify(text)} is nothing that the contract names`)
  return `"${text}"`
}
