import type { WhoAmIResponse } from '@instatunnel/proto/auth/v1/auth_service'
import type { Api } from '../api.ts'
import type { Json } from './json.ts'

/** Who is calling, and with what. */
export type WhoAmI = Json<WhoAmIResponse>

/** Asks the API whom it takes the caller for. */
export const whoAmI = (api: Api): Promise<WhoAmI> => api.call('GET', '/v1/auth/whoami')
