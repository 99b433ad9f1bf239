import type { ServiceClient } from '@instatunnel/kit/client'
import { type GoawayReason, isGoawayReason } from '@instatunnel/kit/goaway'
import type { Logger } from '@instatunnel/kit/log'
import type { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'
import type { Connection, Connections } from './connections.ts'
import { type EndedCredentials, tokenOf } from './ended-credentials.ts'
import type { CredentialEnd } from './events/credential-ends.ts'
import type { CutRequest } from './events/on-cut.ts'

const LOOK_MS = 250
// Whatever is heard of is acted on at once; this is for what was not heard.
const CHECK_EVERY_MS = 60_000
const CHECK_AGAIN_MS = 5000
const MAX_CHECKS = 16
// How long a cut is told to whoever asks how many it met.
const TOLD_MS = 10_000

/** Ends connections with what admitted them. */
export interface CredentialWatch {
  /** Acts on an event; `at` is when it happened. */
  heard(end: CredentialEnd, at: Date): void
  /** Cuts what a credential holds; tells how many that were within the last seconds, for whatever reason. */
  cut(request: CutRequest): number
  close(): void
}

/** Watches over connections: at events, at their expiry, and by asking auth about each once a minute. */
export function watchCredentials(options: {
  readonly auth: Pick<ServiceClient<typeof AuthorizationServiceService>, 'checkConnection'>
  readonly connections: Connections
  readonly ended: EndedCredentials
  readonly log: Logger
  readonly now: () => Date
}): CredentialWatch {
  const { auth, connections, ended, log, now } = options
  const checkAt = new WeakMap<Connection, number>()
  const checking = new Set<Connection>()
  let told: { credentialType: string; credentialId: string; cut: number; at: number }[] = []

  const cutAndCount = (matches: (connection: Connection) => boolean, reason: GoawayReason): void => {
    const found = [...connections.all()].filter(matches)
    for (const { credential } of found) {
      told.push({ credentialType: credential.type, credentialId: credential.id, cut: 1, at: now().getTime() })
    }
    connections.cut((each) => matches(each), reason)
  }
  const check = async (connection: Connection): Promise<void> => {
    const { tunnelId, credential, tokenGeneration, mode } = connection
    checking.add(connection)
    try {
      const { reason } = await auth.checkConnection({
        tunnelId,
        credentialType: credential.type,
        credentialId: credential.id,
        tokenGeneration,
        mode,
      })
      checkAt.set(connection, now().getTime() + CHECK_EVERY_MS)
      if (reason !== '')
        cutAndCount((each) => each === connection, isGoawayReason(reason) ? reason : 'scope_lost')
    } catch (error) {
      checkAt.set(connection, now().getTime() + CHECK_AGAIN_MS)
      log.warn(
        { connectionId: connection.connectionId, cause: String(error) },
        'a connection waits for its check',
      )
    } finally {
      checking.delete(connection)
    }
  }
  const look = () => {
    const time = now().getTime()
    told = told.filter(({ at }) => time - at < TOLD_MS)
    for (const connection of connections.all()) {
      const { expiresAt } = connection.credential
      if (expiresAt !== undefined && expiresAt * 1000 <= time)
        cutAndCount((each) => each === connection, expiry(connection))
      else if (checking.has(connection) || checking.size >= MAX_CHECKS) continue
      else if (time >= (checkAt.get(connection) ?? connection.since.getTime() + CHECK_EVERY_MS))
        check(connection)
    }
  }
  const timer = setInterval(look, LOOK_MS)
  /** To be looked at now; as many at once as may be. */
  const recheck = (matches: (connection: Connection) => boolean) => {
    for (const connection of connections.all()) if (matches(connection)) checkAt.set(connection, 0)
    look()
  }

  return {
    heard(end, at) {
      switch (end.kind) {
        case 'ended': {
          const { type, id } = end.credential
          ended.add(type === 'tunnel_token' ? tokenOf(id) : id, at)
          if (type === 'tunnel_token')
            recheck((each) => each.credential.type === type && each.tunnelId === id)
          else
            cutAndCount(({ credential }) => credential.id === id || credential.sessionId === id, end.reason)
          break
        }
        case 'tunnel_deleted':
          ended.add(end.tunnelId, at)
          cutAndCount(({ tunnelId }) => tunnelId === end.tunnelId, 'tunnel_deleted')
          break
        case 'tunnel_renamed':
          connections.retire(
            ({ tunnelId, subdomain }) => tunnelId === end.tunnelId && subdomain !== end.subdomain,
            'tunnel_changed',
          )
          break
        case 'recheck':
          recheck(({ credential, userId }) => credential.id === end.keyId || userId === end.userId)
          break
      }
    },
    cut({ credentialType, credentialId, reason, tokenGeneration = Number.POSITIVE_INFINITY }) {
      const isMeant = (each: Connection) =>
        each.credential.type === credentialType &&
        each.credential.id === credentialId &&
        (credentialType !== 'tunnel_token' || each.tokenGeneration < tokenGeneration)
      cutAndCount(isMeant, reason)
      const time = now().getTime()
      return told
        .filter((each) => each.credentialType === credentialType && each.credentialId === credentialId)
        .filter(({ at }) => time - at < TOLD_MS)
        .reduce((sum, { cut }) => sum + cut, 0)
    },
    close: () => clearInterval(timer),
  }
}

const expiry = ({ credential }: Connection): GoawayReason =>
  credential.type === 'session' || credential.sessionId !== undefined ? 'session_expired' : 'key_expired'
