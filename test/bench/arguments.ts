import { parseArgs } from 'node:util'

/** What to measure: one bench or all, for how long a round, and which parts of it. */
export interface Arguments<Bench extends string, Part extends string> {
  readonly bench: Bench | undefined
  /** Of load, a round; undefined unless told. */
  readonly seconds: number | undefined
  /** Undefined for all. */
  readonly only: readonly Part[] | undefined
}

/** Reads `[BENCH] [SECONDS] [--only PART]…`; undefined where the arguments say something else. */
export function readArguments<Bench extends string, Part extends string>(
  args: readonly string[],
  { benches, parts }: { benches: readonly Bench[]; parts: Partial<Record<Bench, readonly Part[]>> },
): Arguments<Bench, Part> | undefined {
  const parsed = parse(args)
  if (!parsed) return undefined
  const [first, ...rest] = parsed.positionals
  const bench = benches.find((each) => each === first)
  const [time, ...more] = bench || first === undefined ? rest : [first, ...rest]
  const seconds = time === undefined ? undefined : Number(time)
  const known: readonly Part[] = (bench && parts[bench]) ?? []
  const only = known.filter((part) => parsed.values.only?.includes(part))
  if (more.length > 0 || (seconds !== undefined && !(seconds >= 1 && seconds <= 600))) return undefined
  if (only.length !== new Set(parsed.values.only).size) return undefined
  return { bench, seconds, only: only.length > 0 ? only : undefined }
}

function parse(args: readonly string[]) {
  try {
    const options = { only: { type: 'string', multiple: true } } as const
    return parseArgs({ args: [...args], allowPositionals: true, options })
  } catch {
    return undefined
  }
}
