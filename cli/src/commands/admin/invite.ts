import type { CreateInvitationResponse } from '@instatunnel/proto/auth/v1/admin_service'
import { Command, Option } from 'commander'
import type { Json } from '../../calls/json.ts'
import { quoted } from '../../completion/quoted.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { fields, secret } from '../../shape.ts'

/** `instatunnel admin invite` */
export const adminInvite = (deps: Deps): Command =>
  new Command('invite')
    .description('invite an e-mail to make an account; shows the link this once')
    .argument('<e-mail>', 'the one e-mail that it is good for')
    .addOption(new Option('--role <role>', 'what the account will be').choices(['user', 'admin']))
    .addOption(new Option('--plan <plan>', 'the plan it will be on').choices(['free', 'pro', 'business']))
    .addHelpText(
      'after',
      `
No mail is sent: hand the link over yourself. It makes one account, within 72 hours; another invitation of the same
e-mail replaces it, and \`instatunnel admin revoke-invitation\` revokes it.`,
    )
    .action(async (email: string, options: { role?: string; plan?: string }) => {
      const api = await signedIn(deps)
      const answer = await api.call<Json<CreateInvitationResponse>>('POST', '/v1/admin/invitations', {
        body: { email, ...options },
        shape: fields({ token: secret, url: secret }),
      })
      deps.output.result(answer, [`✅ Invited ${email}`, `🔗 Link: ${answer.url}`])
      deps.output.note(
        'It is shown this once, and good for 72 hours. Without a browser this accepts it, and asks for it:',
      )
      deps.output.note(accept(api.url, email))
    })

const accept = (url: string, email: string) =>
  `INSTATUNNEL_API=${wordOf(url)} instatunnel register --invitation -e ${wordOf(email)}`

/** A text as one word of a shell. */
const wordOf = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : quoted(text))
