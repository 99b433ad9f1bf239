import { domainToASCII } from 'node:url'
import { Refusal } from '@instatunnel/kit/refusal'
import { z } from 'zod'
import { emailDomain } from './account.ts'

/** Who may make an account without an invitation. */
export type Registration =
  | { readonly kind: 'open' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'domain'; readonly domains: readonly string[] }

const FAULT = 'must be open, closed, or domain: with names such as domain:example.com,other.org'
const NAME = /^[\p{L}\p{M}\p{N}.-]+$/u
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** The setting: "open", "closed", or "domain:" and names of domains, which are taken in Unicode, too. */
export const registrationSetting = z.string().transform((text, context): Registration => {
  if (text === 'open' || text === 'closed') return { kind: text }
  const [kind, list] = splitAt(text, ':')
  const domains = list.split(',').map(canonicalDomain)
  if (kind === 'domain' && domains.every((domain) => domain !== undefined)) return { kind, domains }
  context.addIssue({ code: 'custom', message: FAULT })
  return z.NEVER
})

/**
 * Refuses an e-mail that may not register without an invitation. Domains are compared whole, in lower case and ASCII
 * (RFC 5890): an address's field takes no other form, and no quoted local part, so that there is one '@' in it.
 */
export function refuseUninvited(registration: Registration, email: string): void {
  if (registration.kind === 'open') return
  if (registration.kind === 'closed') throw closed('Registration is closed here')
  if (registration.domains.includes(emailDomain(email))) return
  throw closed(`Only e-mail addresses at ${registration.domains.join(', ')} may register here`)
}

const closed = (why: string) =>
  new Refusal('REGISTRATION_CLOSED', `${why}; ask an administrator for an invitation`)

/** A domain as e-mails are held against it; undefined where it is none. */
function canonicalDomain(text: string): string | undefined {
  const name = text.trim().replace(/\.$/, '')
  // Else the URL parser, which makes the ASCII, would take a path or a port along and leave it out.
  const ascii = NAME.test(name) ? domainToASCII(name) : ''
  return DOMAIN.test(ascii) ? ascii : undefined
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
