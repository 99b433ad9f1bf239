import type { Unary } from '@instatunnel/kit/unary'
import { validate } from '@instatunnel/kit/validate'
import type {
  LookUpSubdomainsRequest,
  LookUpSubdomainsResponse,
} from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { z } from 'zod'
import { isLabel } from '../domain/subdomain.ts'
import { findSubdomains } from '../store/tunnel-record-store.ts'
import type { Deps } from './deps.ts'

const SUBDOMAINS_MAX = 500

const request = z.object({
  subdomains: z.array(z.string()).max(SUBDOMAINS_MAX, `must be at most ${SUBDOMAINS_MAX}`),
})

/** Tells which of some subdomains a tunnel has; what no tunnel can have, it does not look for. */
export const lookUpSubdomains =
  ({ sql }: Deps): Unary<LookUpSubdomainsRequest, LookUpSubdomainsResponse> =>
  async (input) => {
    const labels = validate(request, input).subdomains.filter(isLabel)
    return { found: labels.length === 0 ? [] : await findSubdomains(sql, labels) }
  }
