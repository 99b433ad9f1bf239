import { describe, expect, it } from 'vitest'
import { DEVICE_COOKIES, deviceTokensIn, mayDeviceTokenBeIn } from './device-cookie.ts'

const [one, two] = [`itd_${'a'.repeat(32)}`, `itd_${'B7'.repeat(16)}`]
const four = [one, two, one, two]

describe('deviceTokensIn', () => {
  it.each(Object.values(DEVICE_COOKIES))('finds the tokens in the cookie %s, one to four', (name) => {
    for (const tokens of [[one], [one, two], four])
      for (const value of [tokens.join('.'), `"${tokens.join('.')}"`, ` ${tokens.join('.')} `]) {
        expect(deviceTokensIn(`${name}=${value}`)).toEqual(tokens)
        expect(deviceTokensIn(` ${name} =${value}`, name)).toEqual(tokens)
        expect(mayDeviceTokenBeIn(value)).toBe(true)
      }
  })

  it.each(['instatunnel_device2', 'device', '__Secure-instatunnel_device', 'Instatunnel_device', ''])(
    'finds none in the cookie %s',
    (name) => expect(deviceTokensIn(`${name}=${one}`)).toBeUndefined(),
  )

  it('finds those of a cookie only where it is asked for by its name', () => {
    expect(deviceTokensIn(`instatunnel_device=${one}`, DEVICE_COOKIES.elsewhere)).toBeUndefined()
  })

  it.each([
    '',
    'theirs',
    one.slice(1),
    `${one}x`,
    `${one}.`,
    `.${one}`,
    `${one}..${two}`,
    [...four, one].join('.'),
  ])('finds none in the value %j', (value) =>
    expect(deviceTokensIn(`instatunnel_device=${value}`)).toBeUndefined(),
  )
})
