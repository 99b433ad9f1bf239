import { spawn } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { bin, type Home } from './home.ts'

/** Python's standard library has pseudo-terminals, Node's has none. */
const onPseudoTerminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

const runTimeoutMs = 15_000

/** A command on a terminal, with somebody typing. */
export interface Terminal {
  /** Resolves once the screen has shown this. */
  shows(text: string): Promise<void>
  type(text: string): void
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>
  /** All that was shown so far, without control sequences. */
  screen(): string
}

/** Starts a command on a pseudo-terminal. */
export function openTerminal(home: Home, args: readonly string[]): Terminal {
  const child = spawn('python3', ['-c', onPseudoTerminal, bin, ...args], {
    env: { ...home.env, TERM: 'xterm' },
    timeout: runTimeoutMs,
  })
  let shown = ''
  let changed = Promise.withResolvers<void>()
  const tell = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  let ended = false
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    shown += chunk
    tell()
  })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      ended = true
      tell()
      resolve(code)
    })
  })
  const screen = () => stripVTControlCharacters(shown)
  return {
    screen,
    exited,
    type: (text) => child.stdin.write(text),
    shows: async (text) => {
      while (!screen().includes(text)) {
        if (ended) throw new Error(`ended without showing "${text}":\n${screen()}`)
        await changed.promise
      }
    },
  }
}
