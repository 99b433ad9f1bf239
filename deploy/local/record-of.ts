/** A record with these names, each with its value. */
export function recordOf<Name extends string, T>(
  names: readonly Name[],
  value: (name: Name, index: number) => T,
): Record<Name, T> {
  return Object.fromEntries(names.map((name, index) => [name, value(name, index)])) as Record<Name, T>
}
