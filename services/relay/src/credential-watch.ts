import type { ServiceClient } from '@instatunnel/kit/client'
import { type GoawayReason, isGoawayReason } from '@instatunnel/kit/goaway'
import type { Logger } from '@instatunnel/kit/log'
import { type Every, every } from '@instatunnel/kit/relay-routes'
import type { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Connection, Connections } from './connections.ts'
import type { Renamed } from './domain/renamed.ts'
import { type EndedCredentials, tokenOf } from './ended-credentials.ts'
import type { CredentialEnd } from './events/credential-ends.ts'
import type { CutRequest } from './events/on-cut.ts'

const LOOK_MS = 250
// Whatever is heard of is acted on at once; this is for what was not heard.
const CHECK_EVERY_MS = 60_000
// While nothing is heard, auth is asked instead.
const CHECK_UNHEARD_MS = 5000
const CHECK_AGAIN_MS = 5000
// Where auth has not seen an expiry come yet, it does so in a moment.
const EXPIRED_AGAIN_MS = 250
// Where auth cannot be asked, what has expired ends all the same; a clock that is off by more decides nothing.
const UNASKED_MS = 30_000
const MAX_CHECKS = 16
// How long a cut is told to whoever asks how many it met.
const TOLD_MS = 10_000

/** Ends connections with what admitted them. */
export interface CredentialWatch {
  /** Acts on an event; `at` is when it happened. */
  heard(end: CredentialEnd, at: Date): void
  /** Cuts what a credential holds; tells how many ended by that within the last seconds, each once. */
  cut(request: CutRequest): number
  close(): void
}

/** As a connect token and CheckConnectionResponse have it. */
interface Expiry {
  readonly expiresAt?: number
  readonly expiryReason?: string
}

type Matches = (connection: Connection) => boolean

/** Watches over connections: at events, at their expiry, and by asking auth about each once a minute. */
export function watchCredentials(options: {
  readonly auth: Pick<ServiceClient<typeof AuthorizationServiceService>, 'checkConnection'>
  readonly connections: Connections
  readonly ended: EndedCredentials
  /** Takes in that a tunnel has another subdomain. */
  readonly renamed: (renamed: Renamed) => void
  readonly log: Logger
  /** False while NATS is away. */
  readonly isHearing: () => boolean
  /** The time by which credentials expire. */
  readonly now: () => Date
  /** Counts on evenly: when it is time to ask again. */
  readonly monotonicNow: () => Date
  readonly every?: Every
}): CredentialWatch {
  const { connections, ended, log, isHearing } = options
  const now = () => options.monotonicNow().getTime()
  const checkAt = new WeakMap<Connection, number>()
  /** When a credential ends, and why, as auth last said: it may have been changed since the agent came. */
  const expiries = new WeakMap<Connection, Expiry>()
  /** Those that have expired, once auth is asked about that. */
  const expired = new WeakSet<Connection>()
  /** To be checked as soon as it is their turn, the first first. */
  let waiting = new Set<Connection>()
  const checking = new Set<Connection>()
  /** What was cut lately, and when. */
  const cutLately = new Map<Connection, { reason: GoawayReason; at: number }>()
  let failed = 0
  let closed = false

  const cut = (matches: Matches, reason: GoawayReason) => {
    for (const connection of connections.cut(matches, reason))
      cutLately.set(connection, { reason, at: now() })
  }
  const forgetCut = () => {
    for (const [connection, { at }] of cutLately) {
      if (now() - at < TOLD_MS) break
      cutLately.delete(connection)
    }
  }
  const check = async (connection: Connection): Promise<void> => {
    const { tunnelId, credential, tokenGeneration, mode, address } = connection
    const { type: credentialType, id: credentialId, secretGeneration = 0 } = credential
    const held = { credentialType, credentialId, tokenGeneration, secretGeneration }
    try {
      const { reason, ...expiry } = await options.auth.checkConnection({ tunnelId, ...held, mode, address })
      expiries.set(connection, expiry)
      checkAt.set(connection, now() + (hasExpired(connection) ? EXPIRED_AGAIN_MS : CHECK_EVERY_MS))
      if (reason !== '') cut((each) => each === connection, isGoawayReason(reason) ? reason : 'scope_lost')
    } catch (error) {
      checkAt.set(connection, now() + CHECK_AGAIN_MS)
      // One line tells of all that fail between two looks.
      if (failed++ === 0) log.warn({ cause: String(error) }, 'connections wait to be checked')
      if (hasExpired(connection, UNASKED_MS)) cut((each) => each === connection, expiryOf(connection).reason)
    }
  }
  const checkNext = () => {
    for (const connection of waiting) {
      if (closed || checking.size >= MAX_CHECKS) return
      // What was heard while it was being checked may have come too late for that: once more, after it.
      if (checking.has(connection)) continue
      waiting.delete(connection)
      if (connection.link.ended) continue
      checking.add(connection)
      check(connection).finally(() => {
        checking.delete(connection)
        checkNext()
      })
    }
  }
  /** What something was heard of goes before those whose minute is over. */
  const checkSoon = (matches: Matches) => {
    waiting = new Set([...connections.all().filter(matches), ...waiting])
    checkNext()
  }
  const dueAt = (connection: Connection): number => {
    const known = checkAt.get(connection)
    if (known !== undefined) return known
    // It came a look ago at most; or when what it was let through by was about to change, or had just done so.
    const first = ended.doubts(connection) ? 0 : now() + CHECK_EVERY_MS - LOOK_MS
    checkAt.set(connection, first)
    return first
  }
  const isDue = (connection: Connection, time: number): boolean => {
    if (isHearing()) return dueAt(connection) <= time
    const soon = Math.min(dueAt(connection), time + CHECK_UNHEARD_MS)
    if (!waiting.has(connection) && !checking.has(connection)) checkAt.set(connection, soon)
    return soon <= time
  }
  const expiryOf = (connection: Connection) => {
    const known = expiries.get(connection) ?? connection.credential
    const { expiresAt = Number.POSITIVE_INFINITY, expiryReason = '' } = known
    const reason: GoawayReason = isGoawayReason(expiryReason) ? expiryReason : 'key_expired'
    return { at: expiresAt * 1000, reason }
  }
  const hasExpired = (connection: Connection, agoMs = 0) =>
    expiryOf(connection).at + agoMs <= options.now().getTime()
  /** True when an expiry comes: auth is asked, as nobody is sent away for good by a clock of ours alone. */
  const expiresNow = (connection: Connection): boolean => {
    const wasExpired = expired.delete(connection)
    if (!hasExpired(connection)) return false
    expired.add(connection)
    return !wasExpired
  }
  const look = () => {
    const time = now()
    failed = 0
    forgetCut()
    const expiring = new Set(connections.all().filter(expiresNow))
    for (const connection of connections.all()) {
      if (!expiring.has(connection) && !isDue(connection, time)) continue
      checkAt.set(connection, Number.POSITIVE_INFINITY)
      waiting.add(connection)
    }
    if (expiring.size > 0) checkSoon((each) => expiring.has(each))
    else checkNext()
  }
  const stopLooking = (options.every ?? every)(LOOK_MS, look)

  return {
    heard(end, at) {
      switch (end.kind) {
        case 'ended': {
          const { type, id } = end.credential
          ended.add(type === 'tunnel_token' ? tokenOf(id) : id, at)
          if (type === 'tunnel_token')
            checkSoon((each) => each.credential.type === type && each.tunnelId === id)
          else cut(({ credential }) => credential.id === id || credential.sessionId === id, end.reason)
          break
        }
        case 'tunnel_deleted':
          ended.add(end.tunnelId, at)
          cut(({ tunnelId }) => tunnelId === end.tunnelId, 'tunnel_deleted')
          break
        case 'tunnel_renamed':
          options.renamed({ tunnelId: end.tunnelId, subdomain: end.subdomain, at })
          break
        case 'tunnel_limited':
          ended.limited(end.tunnelId, end.responseTimeout, at)
          connections.limit(end.tunnelId, end.responseTimeout)
          break
        case 'recheck':
          for (const subject of [end.keyId, end.userId]) if (subject) ended.changed(subject, at)
          checkSoon(({ credential, userId }) => credential.id === end.keyId || userId === end.userId)
          break
      }
    },
    cut({ credentialType, credentialId, reason, ...request }) {
      const tokenGeneration = credentialType === 'tunnel_token' ? request.tokenGeneration : undefined
      const isMeant: Matches = (each) =>
        each.credential.type === credentialType &&
        each.credential.id === credentialId &&
        (tokenGeneration === undefined || each.tokenGeneration < tokenGeneration)
      cut(isMeant, reason)
      forgetCut()
      // Those that ended by this, whether the request or the event came first, and each is told of once.
      const told = [...cutLately].filter(([each, cut]) => isMeant(each) && cut.reason === reason)
      for (const [each] of told) cutLately.delete(each)
      return told.length
    },
    close() {
      closed = true
      stopLooking()
    },
  }
}
