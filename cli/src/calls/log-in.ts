import type { LoginResponse } from '@instatunnel/proto/auth/v1/auth_service'
import { createApi } from '../api.ts'
import type { Deps } from '../deps.ts'
import { fields, optional, secret, time } from '../shape.ts'
import type { Json } from './json.ts'

const LOGIN = fields({ api_key: secret, expires_at: optional(time) })

/** Logs in, keeps the session's key for this API, and shows it as the documentation does. */
export const logIn = (deps: Deps, who: { email: string; password: string }): Promise<void> =>
  openSession(deps, '/v1/auth/login', who, '✅ Login successful')

/** Makes an account, and goes on as logIn does. */
export const register = (
  deps: Deps,
  who: { email: string; password: string; name?: string; invitation?: string },
): Promise<void> => openSession(deps, '/v1/auth/register', who, '✅ Account made')

async function openSession(deps: Deps, path: string, body: object, done: string): Promise<void> {
  const { config, credentials, output } = deps
  const api = createApi({ url: config.api })
  const answer: Json<LoginResponse> = await api.call('POST', path, { body, shape: LOGIN })
  const { user, api_key, expires_at } = answer
  // Shown before it is kept: where that fails, the key is not lost.
  output.result({ user, api_key }, [done, `🔑 API Key: ${api_key}`])
  await credentials.keep(config.api, { api_key, ...(expires_at && { expires_at }) }) // the key ends with its session
  noteEnvironmentKey(deps)
}

/** Says so where a key that was just stored will not be used. */
export function noteEnvironmentKey({ config, output }: Deps): void {
  if (config.apiKey !== undefined) output.note('INSTATUNNEL_API_KEY is set, and goes before the stored key')
}
