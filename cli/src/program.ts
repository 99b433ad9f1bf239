import { Command, CommanderError, Help, type Option } from 'commander'
import { commands, defaultCommand, type Load } from './commands.ts'
import type { Deps } from './deps.ts'
import { UsageError } from './exit.ts'
import { version } from './version.ts'

/** Parses the arguments and runs the command that they name. Throws UsageError where they name none, or not well. */
export async function runProgram(deps: Deps, args: readonly string[]): Promise<void> {
  const program = await createProgram(deps, args)
  try {
    if (args.length === 0) program.help({ error: true })
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode !== 0) throw new UsageError(messageOf(error)) // otherwise it was --help or --version
  }
}

/** The program with the command that the arguments name, for each is loaded late; with all where they name none. */
export async function createProgram(deps: Deps, args: readonly string[]): Promise<Command> {
  const program = new Command('instatunnel')
    .description('Makes a local port reachable under a public URL, and manages what belongs to it.')
    .usage('<port> [options]\n       instatunnel <command> [options]')
    .version(version)
    .option('--json', 'print JSON, errors too')
    .configureHelp({ showGlobalOptions: true, visibleGlobalOptions, commandUsage })
    .configureOutput({
      outputError: () => {}, // whoever catches it says it
      writeErr: (help) => void (deps.output.json || deps.streams.err.write(help)),
    })
    .exitOverride()
    .addHelpText('after', ({ command }) => namelessOptions(command))
    .addHelpText('after', examplesText)
    .addHelpText('afterAll', exitCodesText)
  const [first = '', second = ''] = args
  const asksForHelp = args.some((arg) => arg === '-h' || arg === '--help')
  for (const [name, entry] of named(commands, first, asksForHelp ? undefined : defaultCommand)) {
    if (typeof entry === 'function') {
      await add(program, entry, deps)
      continue
    }
    const group = new Command(name).description(entry.description).copyInheritedSettings(program)
    program.addCommand(group)
    for (const [, load] of named(entry.commands, second)) await add(group, load, deps)
  }
  return program
}

/** The entry that a word names; the fallback where it names none; all of them where the word is no name. */
function named<T>(entries: Readonly<Record<string, T>>, word: string, fallback?: string): [string, T][] {
  const isName = /^[^-]/.test(word) && word !== 'help'
  const name = Object.hasOwn(entries, word) ? word : isName ? fallback : undefined
  return Object.entries(entries).filter(([one]) => name === undefined || one === name)
}

async function add(parent: Command, load: Load, deps: Deps): Promise<void> {
  const command = (await load())(deps).copyInheritedSettings(parent)
  const isDefault = command.name() === defaultCommand
  parent.addCommand(command, { isDefault, hidden: isDefault })
}

/** "instatunnel tunnels create [options] <port>": without the name that nobody types. */
function commandUsage(this: Help, command: Command): string {
  const names: string[] = []
  for (let one: Command | null = command; one; one = one.parent)
    if (one.name() !== defaultCommand) names.unshift(one.name())
  return [...names, command.usage()].join(' ')
}

/** Those that make sense everywhere: not --version. */
function visibleGlobalOptions(this: Help, command: Command): Option[] {
  const all = Help.prototype.visibleGlobalOptions.call(this, command)
  return all.filter(({ long }) => long !== '--version')
}

/** What commander says, in one line; what was typed too much is not repeated, for it may be a secret. */
function messageOf({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'Name a command'
  if (code === 'commander.excessArguments') return 'Too many arguments'
  const text = message.replace(/^error: /, '')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** The options of the command that needs no name, for the program's own help. */
function namelessOptions(program: Command): string {
  const nameless = program.commands.find((one) => one.name() === defaultCommand)
  if (!nameless) return ''
  const help = nameless.createHelp()
  const options = help.visibleOptions(nameless).filter(({ long }) => long !== '--help')
  const width = Math.max(...options.map(({ flags }) => flags.length))
  const items = options.map((one) => help.formatItem(one.flags, width, help.optionDescription(one), help))
  return ['\nOptions of instatunnel <port>:', ...items].join('\n')
}

const examplesText = `
Examples:
  instatunnel login
  instatunnel 3000 --subdomain docs-demo
  instatunnel tunnels list --json

Environment:
  INSTATUNNEL_API      the API's base URL
  INSTATUNNEL_API_KEY  a key that goes before the stored one`

const exitCodesText = `
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the API is not reachable.`
