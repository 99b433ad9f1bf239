import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

// From Check's answer until the call is here the gateway may wait ten seconds for its body.
const LIFE_SECONDS = 60
// Two replicas that are ready are a minute apart at most (kit/clock).
const LEEWAY_SECONDS = 60

/**
 * What Check tells of a public rpc's caller: the client's address, with an HMAC-SHA-256 that says that Check admitted a call of
 * this rpc from there, and when. It is good for a minute.
 */
export interface CheckedAddresses {
  sign(address: string, method: string, now: Date): string
  /** The address; undefined where Check did not say it of this rpc, or not lately. */
  verify(signed: string, method: string, now: Date): string | undefined
}

/** Creates them, under a key that is made of auth's secret (RFC 5869). */
export function createCheckedAddresses(secret: Buffer): CheckedAddresses {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'instatunnel checked addresses', 32))
  const macOf = (...said: string[]) => createHmac('sha256', key).update(said.join('\n')).digest('base64url')
  return {
    sign(address, method, now) {
      const at = String(Math.floor(now.getTime() / 1000))
      return `${at}.${macOf(at, method, address)}.${address}`
    },
    verify(signed, method, now) {
      const [, at = '', mac = '', address = ''] = SIGNED.exec(signed) ?? []
      const right = Buffer.from(macOf(at, method, address))
      const given = Buffer.from(mac)
      if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined
      const age = now.getTime() / 1000 - Number(at)
      return age <= LIFE_SECONDS + LEEWAY_SECONDS && age >= -LEEWAY_SECONDS ? address : undefined
    },
  }
}

const SIGNED = /^(\d{1,12})\.([\w-]{43})\.(.{0,64})$/
