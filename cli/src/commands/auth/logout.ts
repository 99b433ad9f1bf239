import { Command } from 'commander'
import { createApi } from '../../api.ts'
import type { Deps } from '../../deps.ts'
import { ApiError, Refused } from '../../exit.ts'

/** `instatunnel auth logout` */
export const authLogout = (deps: Deps): Command =>
  new Command('logout')
    .description('end the stored key, for everybody who uses it, and forget it')
    .action(async () => {
      const { config, credentials, output } = deps
      const stored = await credentials.find(config.api)
      if (!stored && config.apiKey !== undefined)
        throw new Refused('not_logged_in', 'No key is stored; that of INSTATUNNEL_API_KEY is left as it is')
      if (stored) {
        await endKey(config.api, stored.api_key)
        await credentials.forget(config.api)
      }
      output.result({ success: true }, [stored ? '✅ Logged out' : 'Nobody was logged in'])
    })

/** Ends the key on the server; one that it refuses has ended already. */
async function endKey(url: string, credential: string): Promise<void> {
  try {
    await createApi({ url, credential }).call('POST', '/v1/auth/logout', { body: {} })
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error
  }
}
