import { Command, CommanderError } from 'commander'
import type { Deps } from './deps.ts'
import { UsageError } from './exit.ts'

/** Makes a command: its words, options and help, and what it does. */
export type MakeCommand = (deps: Deps) => Command

/** A command's module, loaded when the command is asked for. */
type Load = () => Promise<MakeCommand>

interface Group {
  readonly description: string
  readonly commands: Readonly<Record<string, Load>>
}

/** Every command; a group's are called "tunnels list". */
const commands: Readonly<Record<string, Load | Group>> = {
  tunnels: {
    description: 'manage tunnels',
    commands: {
      list: async () => (await import('./commands/tunnels/list.ts')).listTunnels,
    },
  },
}

/** The command that is meant where the first word is none of the others: `instatunnel 3000`. */
const defaultCommand = 'tunnel'

/** Parses the arguments and runs the command that they name. Throws UsageError where they name none, or not well. */
export async function runProgram(deps: Deps, args: readonly string[]): Promise<void> {
  const program = await createProgram(deps, args)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return // --help, --version
    throw new UsageError(error.message.replace(/^error: /, ''))
  }
}

/** The program with what the arguments name; with all of it where they name nothing, for the help. */
export async function createProgram(
  deps: Deps,
  [first = '', second = '']: readonly string[],
): Promise<Command> {
  const program = new Command('instatunnel')
    .description('Makes a local port reachable under a public URL, and manages what belongs to it.')
    .option('--json', 'print JSON, errors too')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => {} }) // said by whoever catches it
    .exitOverride()
  for (const [name, entry] of only(commands, first, defaultCommand)) {
    if (typeof entry === 'function') {
      add(program, (await entry())(deps), name === defaultCommand)
      continue
    }
    const group = new Command(name).description(entry.description)
    add(program, group)
    for (const [, load] of only(entry.commands, second)) add(group, (await load())(deps))
  }
  return program
}

/** The entry of this name; all entries where the word is an option or missing; the fallback for any other word. */
function only<T>(entries: Readonly<Record<string, T>>, word: string, fallback?: string): [string, T][] {
  const name = Object.hasOwn(entries, word) ? word : /^[^-]/.test(word) ? fallback : undefined
  return Object.entries(entries).filter(([one]) => name === undefined || one === name)
}

function add(parent: Command, command: Command, isDefault = false): void {
  parent.addCommand(command.copyInheritedSettings(parent), { isDefault })
}
