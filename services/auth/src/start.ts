import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { openFoundation } from '@instatunnel/kit/foundation'
import { createGuard } from '@instatunnel/kit/guard'
import { createIdentityVerifier } from '@instatunnel/kit/identity'
import type { Logger } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { AuthorizationService as EnvoyAuthorizationService } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { Config } from './config.ts'
import { createSessionCookie } from './domain/cookie.ts'
import { createSlidingWindows } from './domain/sliding-window.ts'
import { ensureAdmin } from './ensure-admin.ts'
import { startKeyUsage } from './events/key-usage.ts'
import { createGate } from './gate.ts'
import { refusals } from './refusals.ts'
import { check } from './rpc/check.ts'
import { services } from './service.ts'
import { openSigningKeys } from './signing-keys.ts'

const MIGRATIONS = fileURLToPath(new URL('./store/migrations/', import.meta.url))
const MINUTE_MS = 60_000

/** Opens, builds and serves auth. `descriptors` stands in for the generated descriptor set, whose rules it reads. */
export async function start(
  config: Config,
  log: Logger,
  { now = () => new Date(), descriptors }: { now?: () => Date; descriptors?: string } = {},
): Promise<Running> {
  const closing = new AsyncDisposableStack()
  try {
    const base = await openFoundation({
      service: 'auth',
      config,
      log,
      migrations: MIGRATIONS,
      closing,
      descriptors,
      now,
    })
    const { sql, rules, nats } = base
    const keys = base.client(KeyDirectoryServiceService, config.KEYS_ADDRESS, 'keys')
    const tunnels = base.client(TunnelDirectoryServiceService, config.TUNNELS_ADDRESS, 'tunnels')
    const signingKeys = closing.adopt(
      await openSigningKeys({ sql, secret: config.AUTH_SECRET, now, random: randomBytes }),
      (open) => open.close(),
    )
    if (config.INSTATUNNEL_ADMIN_EMAIL) {
      await ensureAdmin(sql, config.INSTATUNNEL_ADMIN_EMAIL, config.INSTATUNNEL_ADMIN_PASSWORD, now())
    }
    const usage = closing.adopt(startKeyUsage({ nats, log, now }), (teller) => teller.close())
    const windows = createSlidingWindows(MINUTE_MS)
    const cookie = createSessionCookie(config.PUBLIC_URL)
    const limits = {
      auth: config.LIMIT_AUTH_PER_MINUTE,
      read: config.LIMIT_READ_PER_MINUTE,
      write: config.LIMIT_WRITE_PER_MINUTE,
      connect: config.LIMIT_CONNECT_PER_MINUTE,
      plans: config.PLANS,
    }
    const gate = createGate({ sql, rules, keys, tunnels, signingKeys, usage, windows, cookie, limits, now })
    const deps = { sql, keys, tunnels, signingKeys, gate, windows, cookie, log, now, authLimit: limits.auth }

    const guard = createGuard({
      verifyIdentity: createIdentityVerifier({ listKeys: async () => signingKeys.identityKeys(), now }),
      verifyService: base.verifyService,
      authenticate: gate.authenticate,
    })
    const envoy = { definition: EnvoyAuthorizationService, implementation: { check: check({ gate, log }) } }
    const { port } = await base.serve({ services: services(deps), guard, refusals, others: [envoy] })
    return { port, close: () => closing.disposeAsync() }
  } catch (error) {
    await closing.disposeAsync()
    throw error
  }
}
