import { type Api, createApi } from './api.ts'
import type { Config } from './config.ts'
import type { Credentials } from './credentials.ts'
import { Refused } from './exit.ts'
import type { Output, Streams } from './output.ts'

/** What a command works with; made once, in main.ts. */
export interface Deps {
  readonly config: Config
  readonly output: Output
  readonly credentials: Credentials
  readonly streams: Streams
}

/** The credential in use, and where it is from. */
export interface CredentialInUse {
  readonly key: string
  readonly from: 'environment' | 'stored'
  /** When it ends, where that is known. */
  readonly expiresAt?: string | undefined
}

/** The credential to call with: INSTATUNNEL_API_KEY, otherwise the stored key of this API. Refuses where there is none. */
export async function requireCredential({ config, credentials }: Deps): Promise<CredentialInUse> {
  if (config.apiKey !== undefined) return { key: config.apiKey, from: 'environment' }
  const stored = await credentials.find(config.api)
  if (stored) return { key: stored.api_key, from: 'stored', expiresAt: stored.expires_at }
  throw new Refused(
    'not_logged_in',
    `Not logged in to ${config.api}: run \`instatunnel login\`, or set INSTATUNNEL_API_KEY`,
  )
}

/** The API, called with the credential in use; refuses where there is none. */
export async function signedIn(deps: Deps): Promise<Api> {
  return createApi({ url: deps.config.api, credential: (await requireCredential(deps)).key })
}
