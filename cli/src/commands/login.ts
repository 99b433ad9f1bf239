import { Command } from 'commander'
import { openAsk } from '../ask.ts'
import { logIn } from '../calls/log-in.ts'
import type { Deps } from '../deps.ts'

/** `instatunnel login` */
export const login = (deps: Deps): Command =>
  new Command('login')
    .description('log in: asks for e-mail and password, and keeps the API key')
    .addHelpText('after', '\nWithout a terminal: instatunnel auth login -e E-MAIL --password-stdin')
    .action(async () => {
      const ask = await openAsk(
        deps.streams,
        'use `instatunnel auth login -e E-MAIL --password-stdin` and write the password to standard input',
      )
      const email = await ask.text('📧 Email:')
      const password = await ask.hidden('🔒 Password:')
      await logIn(deps, { email, password })
    })
