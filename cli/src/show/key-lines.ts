import type { Key } from '../calls/keys.ts'
import { printable } from '../terminal-text.ts'
import { dateOf } from './date.ts'
import { interval } from './interval.ts'
import { folded } from './permissions.ts'
import { relative } from './relative.ts'

/** All about a key, a line each. */
export function keyLines(key: Key): string[] {
  const lines: [label: string, text: string | undefined][] = [
    ['ID', key.id],
    ['Name', key.name],
    ['State', key.state],
    ['Key', key.key],
    ['Owner', key.user_id],
    ['Session', key.session_id],
    ['Permissions', listOr('none', folded(key.permissions))],
    ['Created', at(key.created_at)],
    ['Changed', at(key.updated_at)],
    ['Expires', at(key.expires_at) ?? 'Never'],
    ['Last used', at(key.last_used) ?? 'Never'],
    ['Requests', String(key.request_count)],
    ['Remaining', remainingOf(key)],
    ['Rate limit', rateLimitOf(key)],
    ['Addresses', listOr('any', key.allowed_ips)],
    ['Subdomains', listOr('any', key.allowed_subdomains)],
    ['Metadata', JSON.stringify(key.metadata ?? {})],
    ['Revoked', at(key.revoked_at)],
    ['Reason', key.revoked_reason],
    ['Restorable', key.restorable_until && `until ${at(key.restorable_until)}`],
    ['Old secret', oldSecretOf(key)],
  ]
  return lines.flatMap(([label, text]) =>
    text === undefined ? [] : [`${`${label}:`.padEnd(13)} ${printable(text)}`],
  )
}

const at = (time: string | undefined) => time && `${dateOf(time)} (${relative(time)})`

const listOr = (none: string, list: readonly string[]) => (list.length === 0 ? none : list.join(', '))

function remainingOf({ remaining, refill_amount, refill_interval, last_refill_at }: Key): string {
  if (remaining === undefined) return 'not counted'
  if (refill_amount === undefined || refill_interval === undefined) return String(remaining)
  const last = last_refill_at === undefined ? '' : `, last ${relative(last_refill_at)}`
  return `${remaining}, set to ${refill_amount} every ${interval(refill_interval)}${last}`
}

function rateLimitOf({ rate_limit_enabled, rate_limit_max, rate_limit_time_window }: Key): string {
  if (!rate_limit_enabled) return "none, not even its owner's"
  if (rate_limit_max === undefined || rate_limit_time_window === undefined) return "its owner's"
  return `its owner's, and ${rate_limit_max} in ${interval(rate_limit_time_window)}`
}

function oldSecretOf({ old_secret }: Key): string | undefined {
  if (!old_secret) return undefined
  const { key, ends_at, last_used_at } = old_secret
  return `${key} works until ${at(ends_at)}; last used: ${at(last_used_at) ?? 'Never'}`
}
