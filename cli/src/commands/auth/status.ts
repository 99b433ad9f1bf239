import { Command } from 'commander'
import { createApi } from '../../api.ts'
import { whoAmI } from '../../calls/who-am-i.ts'
import { type CredentialInUse, type Deps, requireCredential } from '../../deps.ts'
import { ApiError, Refused } from '../../exit.ts'
import { dateOf } from '../../show/date.ts'
import { masked } from '../../show/masked.ts'

/** `instatunnel auth status` */
export const authStatus = (deps: Deps): Command =>
  new Command('status')
    .description('show the key in use, masked, and whether it works')
    .addHelpText('after', '\nExits with 1 where the key does not work.')
    .action(async () => {
      const { config, output } = deps
      const credential = await requireCredential(deps)
      const { status, expiresAt } = await statusOf(config.api, credential)
      const key = masked(credential.key)
      output.result(
        { key, status: status.toLowerCase(), expires_at: expiresAt, from: credential.from, api: config.api },
        [
          `Current API Key: ${key}`,
          `Status: ${status}`,
          ...(status === 'Invalid'
            ? []
            : [`Expires: ${expiresAt === undefined ? 'Never' : dateOf(expiresAt)}`]),
        ],
      )
      if (status !== 'Valid')
        throw new Refused('unauthorized', 'The API does not accept this key: run `instatunnel login`')
    })

/** The API does not say why it refuses a key; that its time is over is known from when it was stored. */
async function statusOf(
  url: string,
  { key, expiresAt }: CredentialInUse,
): Promise<{ status: 'Valid' | 'Expired' | 'Invalid'; expiresAt: string | undefined }> {
  try {
    const { credential } = await whoAmI(createApi({ url, credential: key }))
    return { status: 'Valid', expiresAt: credential.expires_at }
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error
    const expired = expiresAt !== undefined && Date.parse(expiresAt) <= Date.now()
    return { status: expired ? 'Expired' : 'Invalid', expiresAt }
  }
}
