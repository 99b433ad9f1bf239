import { Command } from 'commander'
import { openAsk } from '../../ask.ts'
import { logIn } from '../../calls/log-in.ts'
import type { Deps } from '../../deps.ts'
import { readSecret } from '../../stdin.ts'

/** `instatunnel auth login` */
export const authLogin = (deps: Deps): Command =>
  new Command('login')
    .description('log in with this e-mail, and keep the API key')
    .requiredOption('-e, --email <e-mail>', "the account's e-mail")
    .option('--password-stdin', 'read the password from standard input instead of asking')
    .addHelpText(
      'after',
      `
Examples:
  instatunnel auth login -e you@example.com
  instatunnel auth login -e you@example.com --password-stdin < password.txt`,
    )
    .action(async ({ email, passwordStdin }: { email: string; passwordStdin?: true }) => {
      const password = passwordStdin
        ? await readSecret(deps.streams, 'password')
        : await (await openAsk(deps.streams, 'give --password-stdin')).hidden('🔒 Password:')
      await logIn(deps, { email, password })
    })
