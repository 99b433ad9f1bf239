import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Home, openHome } from '../test/home.ts'
import { programOf } from '../test/program.ts'
import { defaultCommand } from './commands.ts'
import { version } from './version.ts'

let home: Home

beforeAll(async () => {
  home = await openHome('http://localhost:1')
})
afterAll(() => home.remove())

const run = (...args: string[]) => home.run(args)
const usage = (line: string) => ({ code: 2, stdout: '', stderr: `❌ ${line}\n` })

/** Every command that is called by its words, from the program itself. */
const everyCommand = (await programOf([])).commands
  .filter((command) => command.name() !== defaultCommand)
  .flatMap((command) =>
    command.commands.length === 0
      ? [[command.name()]]
      : command.commands.map((one) => [command.name(), one.name()]),
  )

describe('help', () => {
  it.each(everyCommand)('of %s %s says how it is used, with what, and the exit codes', async (...words) => {
    const { code, stdout, stderr } = await run(...words.filter((word) => word !== undefined), '--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: instatunnel .*\n\n\w/)
    expect(stdout).toContain('--json')
    expect(stdout).toContain('Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the API is not reachable.')
  })

  it('of all lists every command', async () => {
    for (const args of [['--help'], ['help'], ['-h']]) {
      const { code, stdout } = await run(...args)
      expect(code).toBe(0)
      for (const name of ['login', 'auth', 'tunnels', 'keys', 'completion'])
        expect(stdout).toMatch(`\n  ${name} `)
    }
  })

  it('is what one gets who names no command, and that is no success', async () => {
    for (const args of [[], ['auth']]) {
      const { code, stdout, stderr } = await run(...args)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(/^Usage: instatunnel(.|\n)*\n❌ Name a command\n$/)
    }
    const { stderr } = await run('auth', '--json')
    expect(JSON.parse(stderr)).toEqual({ error: 'usage', message: 'Name a command' })
  })
})

describe('--version', () => {
  it('is that of the package', async () => {
    expect(await run('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('what is not used rightly', () => {
  it('is refused with 2 and said in one line', async () => {
    expect(await run('tunnels', 'lst')).toEqual(usage("Unknown command 'lst' (Did you mean list?)"))
    expect(await run('tunnels', 'list', '--all')).toEqual(usage("Unknown option '--all'"))
    expect(await run('tunnels', 'delete')).toEqual(usage("Missing required argument 'tunnel'"))
    expect(await run('tunnels', 'create', '99999')).toEqual(
      usage("Command-argument value '99999' is invalid for argument 'port'. It must be a port, 1 to 65535."),
    )
    expect(await run('auth', 'login')).toEqual(usage("Required option '-e, --email <e-mail>' not specified"))
    expect(await run('auth', 'test', '--scope', 'tunnels')).toEqual(usage("There is no permission 'tunnels'"))
  })

  it('is not repeated where it may be a secret', async () => {
    expect(await run('auth', 'set-key', 'it_1234567890abcdef', 'it_abcdef1234567890')).toEqual(
      usage('Too many arguments'),
    )
    expect(await run('auth', 'set-key', 'it_1234 567890abcdef')).toEqual(usage('This is no API key'))
  })

  it('is JSON with --json', async () => {
    const { code, stderr } = await run('tunnels', 'list', '--all', '--json')
    expect({ code, said: JSON.parse(stderr) }).toEqual({
      code: 2,
      said: { error: 'usage', message: "Unknown option '--all'" },
    })
  })

  it('is a setting too', async () => {
    const env = { INSTATUNNEL_API: 'localhost:8080' }
    expect(await home.run(['tunnels', 'list'], { env })).toEqual(
      usage('INSTATUNNEL_API must be an http:// or https:// URL without a path'),
    )
  })
})

describe('a command', () => {
  it('is loaded without the others', async () => {
    const program = await programOf(['keys', 'list'])
    expect(program.commands.map((one) => one.name())).toEqual(['keys'])
    expect(program.commands[0]?.commands.map((one) => one.name())).toEqual(['list'])
  })
})

describe('the README', () => {
  it('has every command, and no other', async () => {
    const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8')
    const rows = [...readme.matchAll(/^\| `([a-z][a-z -]*[a-z])[^`]*` +\|/gm)].map(([, words = '']) => words)
    const starts = everyCommand.map((words) => words.join(' '))
    for (const start of starts)
      expect(rows.filter((row) => `${row} `.startsWith(`${start} `))).toHaveLength(1)
    expect(rows).toHaveLength(starts.length)
  })
})
