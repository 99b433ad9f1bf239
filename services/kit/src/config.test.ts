import { newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { commonSettings, listenAddress, readSettings, secretBytes, wholeNumber } from './config.ts'

const common = z.object(commonSettings)
const keys = newKeyPair()
const environment = {
  DATABASE_URL: 'postgres://auth:pw@127.0.0.1:5433/instatunnel',
  SERVICE_KEY: keys.privateKey,
  SERVICE_PUBLIC_KEYS: JSON.stringify({ auth: keys.publicKey }),
}

describe('readSettings', () => {
  it('reads what is set, defaults what is not, and freezes it', () => {
    const config = readSettings({ ...environment, LOG_LEVEL: '', PATH: '/usr/bin' }, common)
    expect(config).toEqual({
      DATABASE_URL: environment.DATABASE_URL,
      POSTGRES_POOL_SIZE: 10,
      NATS_URL: 'nats://127.0.0.1:4222',
      SERVICE_KEY: keys.privateKey,
      SERVICE_PUBLIC_KEYS: { auth: keys.publicKey },
      LOG_LEVEL: 'info',
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  it('names every variable at fault at once', () => {
    expect(() => readSettings({ LOG_LEVEL: 'loud' }, common)).toThrow(
      /^Settings: DATABASE_URL is not set; SERVICE_KEY is not set; SERVICE_PUBLIC_KEYS is not set; LOG_LEVEL: /,
    )
  })

  const rsa = '-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END RSA PRIVATE KEY-----'
  it.each([
    ['DATABASE_URL', 'mysql://root:s3cret@db/x'],
    ['SERVICE_KEY', 's3cret'],
    ['SERVICE_KEY', rsa],
    ['SERVICE_KEY', keys.publicKey],
    ['SERVICE_PUBLIC_KEYS', 's3cret'],
    ['SERVICE_PUBLIC_KEYS', '["s3cret"]'],
    ['SERVICE_PUBLIC_KEYS', '{"auth":"s3cret"}'],
    ['SERVICE_PUBLIC_KEYS', '{"auth":"-----BEGIN PUBLIC KEY-----\\ns3cret\\n-----END PUBLIC KEY-----"}'],
    ['SERVICE_PUBLIC_KEYS', JSON.stringify({ auth: keys.privateKey })],
    ['LOG_LEVEL', 's3cret'],
  ])('names %s where it is wrong, and never shows its value', (name, value) => {
    const read = () => readSettings({ ...environment, [name]: value }, common)
    expect(read).toThrow(new RegExp(`^Settings: ${name}: must be|^Settings: ${name}: Invalid option`))
    try {
      read()
    } catch (error) {
      expect(String(error)).not.toContain('s3cret')
      for (const line of keys.privateKey.split('\n').slice(1, -2)) expect(String(error)).not.toContain(line)
    }
  })
})

describe('wholeNumber', () => {
  const port = wholeNumber(1, 65_535)
  it.each([
    ['1', 1],
    ['65535', 65_535],
    ['007', 7],
  ])('reads %j', (text, value) => expect(port.parse(text)).toBe(value))
  it.each(['', '0', '65536', '-1', '1.5', '1e3', '0x10', ' 1', '1 ', '１', '9'.repeat(400)])(
    'refuses %j',
    (text) => {
      expect(port.safeParse(text).error?.issues[0]?.message).toBe('must be a whole number from 1 to 65535')
    },
  )
})

describe('listenAddress', () => {
  it.each(['127.0.0.1:0', 'localhost:50051', '0.0.0.0:1', '[::]:50051', '[::1]:0'])('takes %s', (text) =>
    expect(listenAddress.parse(text)).toBe(text),
  )
  it.each(['', '50051', ':50051', 'localhost', 'localhost:', '::1:50051', 'http://localhost:1', 'a:b'])(
    'refuses %j',
    (text) => expect(listenAddress.safeParse(text).success).toBe(false),
  )
})

describe('secretBytes', () => {
  it('reads 32 bytes', () => {
    expect(secretBytes.parse(Buffer.alloc(32, 7).toString('base64'))).toEqual(Buffer.alloc(32, 7))
  })
  it.each(['', 'short', Buffer.alloc(31).toString('base64'), Buffer.alloc(33).toString('base64')])(
    'refuses %j',
    (text) => expect(secretBytes.safeParse(text).success).toBe(false),
  )
})
