import type { Plan } from '@instatunnel/kit/plans'
import type { Role } from '@instatunnel/kit/scope'
import { hasControls } from '@instatunnel/kit/validate'
import { z } from 'zod'

/** Whether an account may be used: nothing that belongs to a suspended one works. */
export type AccountStatus = 'active' | 'suspended'

/** An account. */
export interface Account {
  readonly id: string
  /** As the person wrote it. */
  readonly email: string
  readonly name: string
  readonly username: string
  readonly plan: Plan
  readonly role: Role
  readonly status: AccountStatus
  readonly createdAt: Date
}

// The HTML standard's idea of an e-mail address, with a dot in the domain, so that nobody is locked out of a real one:
// https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
const EMAIL =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/i
const MAX_EMAIL = 254

/** An e-mail address (RFC 5321: at most 254 characters). */
export const emailField = z
  .string()
  .refine((text) => text.length <= MAX_EMAIL && EMAIL.test(text), 'must be an e-mail address')

/** A new password: OWASP's advice is length, and no other rule. */
export const passwordField = z
  .string()
  .refine((text) => [...text].length >= 10 && [...text].length <= 128, 'must be 10 to 128 characters')

/** A person's name; may be empty. */
export const nameField = z
  .string()
  .refine(
    (text) => [...text].length <= 100 && !hasControls(text),
    'must be at most 100 characters, none a control character',
  )

/** What people are shown as; not unique. */
export const usernameField = z
  .string()
  .regex(/^[a-z0-9_.-]{1,39}$/, "must be 1 to 39 of a-z, 0-9, '-', '_' and '.'")

/** E-mails are compared in lower case. */
export const emailKey = (email: string) => email.toLowerCase()

/** The domain of an e-mail, in lower case. */
export const emailDomain = (email: string) => emailKey(email.slice(email.lastIndexOf('@') + 1))

/** An account's first username: the e-mail's local part, of the characters that a username may have. */
export const usernameFrom = (email: string) =>
  emailKey(email.slice(0, email.lastIndexOf('@')))
    .replace(/[^a-z0-9_.-]/g, '')
    .slice(0, 39) || 'user'
