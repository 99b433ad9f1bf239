import type { Command, Option } from 'commander'

/** What may be typed, and what it is. */
export interface Word {
  readonly name: string
  readonly description: string
}

/** An option as it is typed. */
export interface OptionWord {
  readonly short: string | undefined
  readonly long: string | undefined
  readonly description: string
  readonly takesValue: boolean
}

/** What may come after some words of the command line. */
export interface Place {
  /** The words before, options apart: "" at the start, "auth login". */
  readonly path: string
  /** Commands, and the values that the argument may have. */
  readonly words: readonly Word[]
  readonly options: readonly OptionWord[]
}

/** Every place of the program as it declares itself, so that completion and program are never at odds. */
export function placesOf(command: Command, path: readonly string[] = []): Place[] {
  const help = command.createHelp()
  const visible = help.visibleCommands(command).filter((one) => one.name() !== 'help')
  // A command that needs no name is hidden: its options stand here.
  const nameless = command.commands.filter((one) => !visible.includes(one))
  const options = [
    ...nameless.flatMap((one) => one.options),
    ...help.visibleOptions(command),
    ...help.visibleGlobalOptions(command),
  ]
  const place = {
    path: path.join(' '),
    words: [
      ...visible.map((one) => ({ name: one.name(), description: one.description() })),
      ...choicesOf(command),
    ],
    options: options.map(optionWord),
  }
  return [place, ...visible.flatMap((one) => placesOf(one, [...path, one.name()]))]
}

/** The flags after which a value comes. */
export const valueFlags = (places: readonly Place[]): string[] => [
  ...new Set(places.flatMap(({ options }) => options.filter((option) => option.takesValue).flatMap(flagsOf))),
]

/** "-e" and "--email". */
export const flagsOf = ({ short, long }: OptionWord): string[] =>
  [short, long].filter((flag) => flag !== undefined)

/** Every step from a place to one below it: "/auth", "auth/login". */
export const stepsOf = (places: readonly Place[]): string[] =>
  places.flatMap(({ path }) => {
    const before = path.lastIndexOf(' ')
    return path === '' ? [] : [`${path.slice(0, Math.max(before, 0))}/${path.slice(before + 1)}`]
  })

const choicesOf = (command: Command): Word[] =>
  (command.registeredArguments[0]?.argChoices ?? []).map((name) => ({ name, description: '' }))

const optionWord = ({ short, long, description, required, optional }: Option): OptionWord => ({
  short,
  long,
  description,
  takesValue: required || optional,
})
