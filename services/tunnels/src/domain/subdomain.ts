import { Refusal } from '@instatunnel/kit/refusal'
import { isReserved } from './reserved-subdomains.ts'

// RFC 1035, section 2.3.1, with RFC 1123's leading digits; the shortest names are kept back.
const LABEL = /^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/

// RFC 5890, section 2.3.1: "--" there marks names in another encoding (xn--), and those yet to be invented.
const RESERVED_LDH = /^..--/

/** A subdomain as it is kept. Only A–Z: the Kelvin sign would become a "k" otherwise. */
export const lowerCased = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** True for what may be a subdomain in form: 3 to 63 characters, in lower case. */
export const isLabel = (text: string) => LABEL.test(text)

/** Why a lower-cased subdomain cannot be had; undefined where it can. */
export function subdomainFault(subdomain: string): string | undefined {
  if (!isLabel(subdomain)) {
    return 'must be 3 to 63 characters of a-z, 0-9 and "-", with no "-" at either end'
  }
  if (RESERVED_LDH.test(subdomain)) return 'must not have "--" as its third and fourth character'
  if (isReserved(subdomain)) return 'is reserved; choose another'
  return undefined
}

/** The refusal of a subdomain that another tunnel has. */
export const subdomainTaken = (subdomain: string) =>
  new Refusal('SUBDOMAIN_TAKEN', `The subdomain "${subdomain}" is already in use; choose another`)
