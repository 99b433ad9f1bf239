import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { programOf } from '../../test/program.ts'
import { commands, type Group } from '../commands.ts'
import { bashScript } from './bash.ts'
import { fishScript } from './fish.ts'
import { type Place, placesOf } from './places.ts'
import { zshScript } from './zsh.ts'

const run = promisify(execFile)
let folder: string
let places: Place[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'instatunnel-completion-'))
  places = placesOf(await programOf([]))
})
afterAll(() => rm(folder, { recursive: true }))

/** A shell's script in a file; each shell reads it as people make it read. */
async function scriptFile(name: string, script: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, script)
  return file
}

const isInstalled = (shell: string) => {
  try {
    execFileSync(shell, ['-c', 'true'])
    return true
  } catch {
    return false
  }
}

describe('places', () => {
  it('are every command of the program', () => {
    const groups = Object.entries(commands).filter(
      (entry): entry is [string, Group] => typeof entry[1] === 'object',
    )
    for (const [name, group] of groups)
      for (const command of Object.keys(group.commands))
        expect(places.map(({ path }) => path)).toContain(`${name} ${command}`)
    for (const name of ['login', 'completion', ...groups.map(([name]) => name)])
      expect(places[0]?.words.map((word) => word.name)).toContain(name)
  })
})

// What is typed, and what is offered for its last word.
const typed: [string, string[]][] = [
  ['instatunnel auth ', ['login', 'set-key', 'status', 'test', 'logout']],
  ['instatunnel --json auth lo', ['login', 'logout']],
  ['instatunnel tunnels create 3000 --sub', ['--subdomain']],
  ['instatunnel tunnels create --name keys --sub', ['--subdomain']],
  ['instatunnel auth login --p', ['--password-stdin']],
  ['instatunnel keys ', ['create', 'list', 'show', 'update', 'rotate', 'delete', 'restore', 'explain']],
  ['instatunnel keys create x --allow-ip ::1 --allow-s', ['--allow-subdomain']],
  ['instatunnel keys update key_1 --rate-limit-window 1m --no-', ['--no-rate-limit']],
  ['instatunnel keys rotate --grace-period 1h key_1 --e', ['--end-grace-period']],
  ['instatunnel keys create -p tunnels:read --u', ['--user']],
  ['instatunnel completion ', ['bash', 'fish', 'zsh']],
  ['instatunnel completion z', ['zsh']],
]

describe('bash', () => {
  /** Loads the script and asks it as bash does, with the words of the line. */
  async function offered(line: string): Promise<string[]> {
    const file = await scriptFile('bash', bashScript(places))
    const words = line.split(' ')
    const ask = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _instatunnel; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout } = await run('bash', ['--norc', '-euc', ask, file, ...words])
    return stdout.split('\n').filter((word) => word !== '')
  }

  it.each(typed)('offers for "%s": %j', async (line, words) => {
    expect(
      (await offered(line)).filter((word) => line.includes('-') || !word.startsWith('-')).sort(),
    ).toEqual(words.toSorted())
  })

  it('offers nothing where a value is to come', async () => {
    expect(await offered('instatunnel tunnels create --name ')).toEqual([])
  })

  it('knows whose script it is', async () => {
    const file = await scriptFile('bash', bashScript(places))
    const { stdout } = await run('bash', ['--norc', '-euc', 'source "$0"; complete -p instatunnel', file])
    expect(stdout).toBe('complete -F _instatunnel instatunnel\n')
  })
})

if (isInstalled('fish')) {
  describe('fish', () => {
    it.each(typed)('offers for "%s": %j', async (line, words) => {
      const file = await scriptFile('fish', fishScript(places))
      const { stdout } = await run('fish', ['--no-config', '-c', `source ${file}; complete -C '${line}'`])
      const offered = stdout.split('\n').map((one) => one.split('\t')[0])
      expect(offered.filter((word) => word !== '').sort()).toEqual(words.toSorted())
    })
  })
}

if (isInstalled('zsh')) {
  describe('zsh', () => {
    it('loads the script', async () => {
      const file = await scriptFile('zsh', zshScript(places))
      const load = 'autoload -U compinit; compinit -D -u; source "$0"; print -- $_comps[instatunnel]'
      const { stdout } = await run('zsh', ['-f', '-c', load, file])
      expect(stdout).toBe('_instatunnel\n')
    })
  })
}

describe('descriptions', () => {
  const place: Place = {
    path: '',
    words: [{ name: 'it:s', description: "the account's \\ own" }],
    options: [],
  }

  it('are quoted as each shell reads them', () => {
    expect(zshScript([place])).toContain("commands=('it\\:s:the account'\\''s \\ own')")
    expect(fishScript([place])).toContain("-a 'it:s' -d 'the account\\'s \\\\ own'")
  })
})
