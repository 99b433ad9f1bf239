import { appendEvent } from '@instatunnel/kit/event'
import { newId } from '@instatunnel/kit/id'
import type { ISql } from '@instatunnel/kit/postgres'
import {
  TunnelCreated,
  TunnelDeleted,
  TunnelTokenRegenerated,
  TunnelUpdated,
} from '@instatunnel/proto/events/v1/events'
import type { Tunnel } from '../domain/tunnel.ts'

/** Tells that a tunnel was made. */
export const tellCreated = (tx: ISql, tunnel: Tunnel, now: Date) =>
  tell(tx, 'created', tunnel, TunnelCreated.toJSON(named(tunnel)), now)

/** Tells which of a tunnel's choices changed, by their names on the wire. */
export const tellUpdated = (tx: ISql, tunnel: Tunnel, changed: string[], now: Date) =>
  tell(
    tx,
    'updated',
    tunnel,
    TunnelUpdated.toJSON({
      ...named(tunnel),
      changed,
      responseTimeout: tunnel.responseTimeout ?? undefined,
    }),
    now,
  )

/** Tells that a tunnel is no more. */
export const tellDeleted = (tx: ISql, tunnel: Named, now: Date) =>
  tell(tx, 'deleted', tunnel, TunnelDeleted.toJSON(named(tunnel)), now)

/** Tells that a tunnel's old token is no longer good; neither token is told. */
export const tellTokenRegenerated = (tx: ISql, { id, userId }: Tunnel, now: Date) =>
  tell(tx, 'token_regenerated', { id }, TunnelTokenRegenerated.toJSON({ tunnelId: id, userId }), now)

type Named = Pick<Tunnel, 'id' | 'userId' | 'subdomain'>

const named = ({ id, userId, subdomain }: Named) => ({ tunnelId: id, userId, subdomain })

const tell = (tx: ISql, what: string, { id }: Pick<Tunnel, 'id'>, data: unknown, now: Date) =>
  appendEvent(tx, {
    id: newId('evt_', now),
    type: `tunnel.${what}`,
    subject: id,
    time: now,
    data: data as object,
  })
