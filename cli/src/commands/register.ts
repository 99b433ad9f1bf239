import { Command } from 'commander'
import { openAsk } from '../ask.ts'
import { register as makeAccount } from '../calls/log-in.ts'
import type { Deps } from '../deps.ts'
import { UsageError } from '../exit.ts'
import { readSecrets } from '../stdin.ts'

interface Options {
  readonly email: string
  readonly name?: string
  readonly invitation?: true
  readonly secretsStdin?: true
}

/** `instatunnel register` */
export const register = (deps: Deps): Command =>
  new Command('register')
    .description('make an account: asks for a password, and keeps the API key')
    .requiredOption('-e, --email <e-mail>', "the account's e-mail")
    .option('--name <name>', 'your name')
    .option(
      '--invitation',
      'ask for an invitation, too (its link or token): where registration is closed, one is needed',
    )
    .option(
      '--secrets-stdin',
      'read them from standard input instead, a line each: the invitation, then the password',
    )
    .addHelpText(
      'after',
      `
Examples:
  instatunnel register -e you@example.com
  instatunnel register -e you@example.com --invitation
  instatunnel register -e you@example.com --secrets-stdin < password.txt`,
    )
    .action(async ({ email, name, ...options }: Options) => {
      const secrets = await (options.secretsStdin ? read(deps, options) : ask(deps, options))
      await makeAccount(deps, { email, ...(name === undefined ? {} : { name }), ...secrets })
    })

interface Secrets {
  readonly password: string
  readonly invitation?: string
}

async function read({ streams }: Deps, { invitation }: Pick<Options, 'invitation'>): Promise<Secrets> {
  const whats = invitation ? ['invitation', 'password'] : ['password']
  const [password = '', token] = (await readSecrets(streams, whats)).reverse()
  return { password, ...(token === undefined ? {} : { invitation: tokenIn(token) }) }
}

async function ask({ streams }: Deps, { invitation }: Pick<Options, 'invitation'>): Promise<Secrets> {
  const terminal = await openAsk(streams, 'give --secrets-stdin')
  const token = invitation ? (await terminal.hidden('🎟  Invitation:')).trim() : undefined
  const password = await terminal.hidden('🔒 Password:')
  // Nobody could tell what was mistyped.
  if ((await terminal.hidden('🔒 Password, once more:')) !== password)
    throw new UsageError('The two passwords differ')
  return { password, ...(token === undefined ? {} : { invitation: tokenIn(token) }) }
}

/** The token of an invitation that is given as a link, whose fragment it is, or as the token itself. */
const tokenIn = (invitation: string) => invitation.slice(invitation.indexOf('#') + 1)
