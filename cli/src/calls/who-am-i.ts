import type { WhoAmIResponse } from '@instatunnel/proto/auth/v1/auth_service'
import type { Api } from '../api.ts'
import { fields, list, optional, text, time } from '../shape.ts'
import type { Json } from './json.ts'

/** Who is calling, and with what. */
export type WhoAmI = Json<WhoAmIResponse>

const WHO_AM_I = fields({
  user: fields({ email: text }),
  plan: text,
  credential: fields({ scopes: list(text), expires_at: optional(time) }),
})

/** Asks the API whom it takes the caller for. */
export const whoAmI = (api: Api): Promise<WhoAmI> => api.call('GET', '/v1/auth/whoami', { shape: WHO_AM_I })
