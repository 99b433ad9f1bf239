import { expandScope } from '@instatunnel/kit/scope'
import type { Key } from '../calls/keys.ts'
import { relative } from './relative.ts'

/** A key as a row of a table. */
export const keyRow = ({ id, name, start, state, expires_at, last_used, permissions, remaining }: Key) => ({
  ID: id,
  STATE: state,
  START: start,
  NAME: name,
  SCOPES: String(new Set(permissions.flatMap(expandScope)).size),
  'LAST USED': last_used === undefined ? 'Never' : relative(last_used),
  EXPIRES: expires_at === undefined ? 'Never' : relative(expires_at),
  REMAINING: remaining === undefined ? '–' : String(remaining),
})
