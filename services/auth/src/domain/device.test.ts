import { randomBytes } from 'node:crypto'
import { deviceTokensIn } from '@instatunnel/kit/device-cookie'
import { describe, expect, it } from 'vitest'
import { deviceAccountOf, newDeviceToken } from './device.ts'

const secret = Buffer.alloc(32, 1)
const tokenOf = (email: string) => newDeviceToken(secret, email, randomBytes)

describe("a device's token", () => {
  it('has the form that the cookie holds, and is another one each time', () => {
    const token = tokenOf('ada@example.com')
    expect(deviceTokensIn(`instatunnel_device=${token}`)).toEqual([token])
    expect(tokenOf('ada@example.com')).not.toBe(token)
  })

  it('names its account, and no e-mail', () => {
    const account = deviceAccountOf(secret, tokenOf('ada@example.com'))
    expect(account).toMatch(/^[0-9A-Za-z]{8}$/)
    expect(deviceAccountOf(secret, tokenOf('Ada@Example.com'))).toBe(account)
    expect(deviceAccountOf(secret, tokenOf('eve@example.com'))).not.toBe(account)
  })

  it('is known by its signature: no other text passes for one', () => {
    const token = tokenOf('ada@example.com')
    const changed = Array.from({ length: 32 }, (_, i) => {
      const at = i + 'itd_'.length
      return token.slice(0, at) + (token[at] === '0' ? '1' : '0') + token.slice(at + 1)
    })
    for (const other of [...changed, `itd_${'0'.repeat(32)}`, token.slice(0, -1), `${token}0`, ''])
      expect(deviceAccountOf(secret, other)).toBeUndefined()
    expect(deviceAccountOf(Buffer.alloc(32, 2), token)).toBeUndefined()
  })
})
