import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { addressSubject } from '@instatunnel/kit/client-address'
import { createEviction, type Evict } from '@instatunnel/kit/eviction'
import { openFoundation } from '@instatunnel/kit/foundation'
import { createGuard } from '@instatunnel/kit/guard'
import { newId } from '@instatunnel/kit/id'
import { createIdentityVerifier } from '@instatunnel/kit/identity'
import type { Logger } from '@instatunnel/kit/log'
import type { Running } from '@instatunnel/kit/main'
import { defaultRegistration } from '@instatunnel/kit/registration'
import { announceReplica, followReplicas } from '@instatunnel/kit/replicas'
import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { createRestRoutes } from '@instatunnel/kit/rest-routes'
import { descriptorsFile } from '@instatunnel/kit/rules'
import { AuthorizationService as EnvoyAuthorization } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import { createPublicAdmission } from './admit-public.ts'
import { serveGateway } from './check-server.ts'
import type { Config } from './config.ts'
import { createCheckedAddresses } from './domain/checked-address.ts'
import { createSessionCookie } from './domain/cookie.ts'
import { deviceAccountOf, deviceDigest, newDeviceToken } from './domain/device.ts'
import { createDeviceCookie } from './domain/device-cookie.ts'
import { createGrowingDelays } from './domain/growing-delays.ts'
import { createInvitationHash } from './domain/invitation.ts'
import { networkDigest } from './domain/network-digest.ts'
import { countedByKind, createSlidingWindows } from './domain/sliding-window.ts'
import { windowBounds } from './domain/window-bounds.ts'
import { ensureAdmin } from './ensure-admin.ts'
import { startKeyUsage } from './events/key-usage.ts'
import { hearChanges } from './events/on-change.ts'
import { onLogin } from './events/on-login.ts'
import { onRecall } from './events/on-recall.ts'
import { createGate } from './gate.ts'
import { createHandedOn } from './handed-on.ts'
import { createHomeNetworks } from './home-networks.ts'
import { createKeyUses } from './key-uses.ts'
import { createMemory, forgettingUses } from './memory.ts'
import { createOwnCookies } from './own-cookies.ts'
import { createPasswordHasher } from './password-hasher.ts'
import { refusals } from './refusals.ts'
import { check } from './rpc/check.ts'
import { healthCheck } from './rpc/health-check.ts'
import { services } from './service.ts'
import { createSessionTokens } from './session-tokens.ts'
import { createSharedWindows } from './shared-windows.ts'
import { createSignInTurns } from './sign-in-turns.ts'
import { openSigningKeys } from './signing-keys.ts'

const MIGRATIONS = fileURLToPath(new URL('./store/migrations/', import.meta.url))
const MINUTE_MS = 60_000
// Wrong passwords for an e-mail: of strangers, of each network and device that its account is known from, and of its own sessions.
const DELAYED = ['email', 'place', 'device', 'password']

/**
 * Opens, builds and serves auth. `descriptors` stands in for the generated descriptor set, whose rules it reads; `replica`
 * is the name that no other process ever has.
 */
export async function start(
  config: Config,
  log: Logger,
  {
    now: givenNow,
    wallClock,
    descriptors,
    replica = newId('auth_', new Date()),
  }: { now?: () => Date; wallClock?: () => Date; descriptors?: string; replica?: string } = {},
): Promise<Running & { readonly checkPort: number }> {
  const closing = new AsyncDisposableStack()
  try {
    const base = await openFoundation({
      service: 'auth',
      config,
      log,
      migrations: MIGRATIONS,
      closing,
      descriptors,
      now: givenNow,
      wallClock,
    })
    const { sql, rules, nats, now } = base
    const keys = base.client(KeyDirectoryServiceService, config.KEYS_ADDRESS, 'keys')
    const tunnels = base.client(TunnelDirectoryServiceService, config.TUNNELS_ADDRESS, 'tunnels')
    const signingKeys = closing.adopt(
      await openSigningKeys({ sql, secret: config.AUTH_SECRET, now, random: randomBytes }),
      (open) => open.close(),
    )
    const memory = createMemory({ sql, keys, now, isHeard: () => changes.isHeard() })
    const uses = createKeyUses({
      keys,
      replica,
      now,
      forget: memory.keys.evict,
      isHeard: () => changes.isHeard(),
    })
    const known = forgettingUses(memory, uses)
    const replicas = closing.adopt(
      followReplicas({ nats, log, service: 'auth', begun: known.forgetAll }),
      (followed) => followed.close(),
    )
    const changes = closing.adopt(hearChanges({ nats, log, replica, replicas, memory: known }), (heard) =>
      heard.close(),
    )
    const limits = {
      auth: config.LIMIT_AUTH_PER_MINUTE,
      read: config.LIMIT_READ_PER_MINUTE,
      write: config.LIMIT_WRITE_PER_MINUTE,
      connect: config.LIMIT_CONNECT_PER_MINUTE,
      plans: config.PLANS,
    }
    const delays = createGrowingDelays()
    // They hear the other replicas before those hear of this one, and ask it.
    const windows = closing.adopt(
      createSharedWindows({
        local: countedByKind(new Map(DELAYED.map((kind) => [kind, delays])), createSlidingWindows(MINUTE_MS)),
        bounds: windowBounds(limits),
        replicas,
        replica,
        nats,
        now,
        log,
      }),
      (shared) => shared.close(),
    )
    closing.adopt(announceReplica({ nats, log, service: 'auth', replica }), (announced) => announced.close())
    closing.adopt(onRecall({ nats, log, replica, settle: uses.recall }), (answering) => answering.close())
    // Settled while this replica is still said to live: what one that is gone holds is lost.
    closing.adopt(uses, (leased) => leased.close())
    const evictEverywhere = createEviction({ nats, log, replicas })
    const evict: Evict = (what) => {
      known.forget(what)
      return evictEverywhere(what)
    }
    if (config.INSTATUNNEL_ADMIN_EMAIL) {
      await ensureAdmin(
        { sql, evict },
        config.INSTATUNNEL_ADMIN_EMAIL,
        config.INSTATUNNEL_ADMIN_PASSWORD,
        now(),
      )
    }
    const usage = closing.adopt(startKeyUsage({ nats, log, now }), (teller) => teller.close())
    const cookie = createSessionCookie(config.PUBLIC_URL)
    const deviceCookie = createDeviceCookie(config.PUBLIC_URL)
    const ownCookies = createOwnCookies(cookie, deviceCookie)
    const checkedAddresses = createCheckedAddresses(config.AUTH_SECRET)
    const handedOn = createHandedOn(ownCookies, checkedAddresses, now)
    const routeOf = createRestRoutes(readRestBindings(descriptors ?? descriptorsFile()))
    const homes = createHomeNetworks()
    const noteLogin = (userId: string, address: string) => {
      if (address !== '') homes.note(userId, addressSubject(address))
    }
    closing.adopt(onLogin({ nats, log, now, note: noteLogin }), (heard) => heard.close())
    const signInTurn = createSignInTurns({
      deviceCookie,
      deviceAccountOf: (token) => deviceAccountOf(config.AUTH_SECRET, token),
      homes,
    })
    const gate = createGate({
      sql,
      rules,
      routeOf,
      keys,
      tunnels,
      memory,
      signingKeys,
      usage,
      uses,
      windows,
      cookie,
      limits,
      checkedAddresses,
      signInTurn,
      now,
    })
    const deps = {
      sql,
      keys,
      tunnels,
      signingKeys,
      gate,
      evict,
      windows,
      cookie,
      sessionClaimsOf: createSessionTokens({ signingKeys, now }),
      checkedAddresses,
      deviceCookie,
      newDeviceToken: (email: string) => newDeviceToken(config.AUTH_SECRET, email, randomBytes),
      deviceDigest: (email: string, token: string) => deviceDigest(config.AUTH_SECRET, email, token),
      passwords: createPasswordHasher(),
      networkDigest: (email: string, network: string) => networkDigest(config.AUTH_SECRET, email, network),
      log,
      now,
      authLimit: limits.auth,
      registration: config.REGISTRATION ?? { kind: defaultRegistration(config.DOMAIN) },
      publicUrl: config.PUBLIC_URL,
      invitationHash: createInvitationHash(config.AUTH_SECRET),
    }

    const guard = createGuard({
      verifyIdentity: createIdentityVerifier({ listKeys: async () => signingKeys.identityKeys(), now }),
      verifyService: base.verifyService,
      authenticate: gate.authenticate,
      admitPublic: createPublicAdmission({ gate, checkedAddresses, now }),
    })
    // From the first call on, what is remembered is forgotten as soon as it changes.
    await changes.begun()
    const { port } = await base.serve({ services: services(deps), guard, refusals })
    const rpcs = new Map([
      [EnvoyAuthorization.check.path, check({ gate, routeOf, handedOn, log, isReady: base.clock.isReady })],
      ['/grpc.health.v1.Health/Check', healthCheck(base.clock.isReady)],
    ])
    const gateway = closing.adopt(
      await serveGateway({ listen: config.CHECK_LISTEN, tls: base.transport.files, rpcs, log }),
      (serving) => serving.close(),
    )
    return { port, checkPort: gateway.port, close: () => closing.disposeAsync() }
  } catch (error) {
    await closing.disposeAsync()
    throw error
  }
}
