import { randomBytes } from 'node:crypto'
import { newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'

const keys = newKeyPair()
const secret = randomBytes(32)
const required = {
  DATABASE_URL: 'postgres://auth:pw@127.0.0.1:5433/instatunnel',
  SERVICE_KEY: keys.privateKey,
  SERVICE_PUBLIC_KEYS: JSON.stringify({ auth: keys.publicKey }),
  AUTH_SECRET: secret.toString('base64'),
}

describe('readConfig', () => {
  it('needs four settings and defaults the rest', () => {
    expect(readConfig(required)).toEqual({
      ...required,
      SERVICE_PUBLIC_KEYS: { auth: keys.publicKey },
      AUTH_SECRET: secret,
      POSTGRES_POOL_SIZE: 10,
      NATS_URL: 'nats://127.0.0.1:4222',
      LISTEN: '127.0.0.1:50051',
      CHECK_LISTEN: '127.0.0.1:50061',
      KEYS_ADDRESS: '127.0.0.1:50052',
      TUNNELS_ADDRESS: '127.0.0.1:50053',
      PUBLIC_URL: 'http://localhost:8080',
      DOMAIN: 'localhost',
      LIMIT_AUTH_PER_MINUTE: 10,
      LIMIT_READ_PER_MINUTE: 100,
      LIMIT_WRITE_PER_MINUTE: 20,
      LIMIT_CONNECT_PER_MINUTE: 30,
      PLANS: {
        free: { tunnels: 3, readFactor: 1, writeFactor: 1, mcp: false },
        pro: { tunnels: 25, readFactor: 5, writeFactor: 5, mcp: true },
        business: { tunnels: 250, readFactor: 10, writeFactor: 10, mcp: true },
      },
      LOG_LEVEL: 'info',
    })
  })

  it.each(Object.keys(required))('does not start without %s, and says so', (name) => {
    for (const value of [undefined, ''])
      expect(() => readConfig({ ...required, [name]: value })).toThrow(
        new Error(`Settings: ${name} is not set`),
      )
  })

  it.each([
    ['AUTH_SECRET', 'hunter2', 'must be 32 bytes in base64'],
    ['LISTEN', 'hunter2', 'must be host:port'],
    ['CHECK_LISTEN', 'hunter2', 'must be host:port'],
    ['PUBLIC_URL', 'hunter2', 'Invalid URL'],
    ['PUBLIC_URL', 'ftp://hunter2', 'Invalid URL'],
    ['REGISTRATION', 'hunter2', 'must be open, closed, or domain: with names such as '],
    ['LIMIT_AUTH_PER_MINUTE', '0', 'must be a whole number from 1 to 1000000'],
    ['LIMIT_READ_PER_MINUTE', 'hunter2', 'must be a whole number from 1 to 1000000'],
    ['LIMIT_WRITE_PER_MINUTE', '-1', 'must be a whole number from 1 to 1000000'],
    ['LIMIT_CONNECT_PER_MINUTE', '1.5', 'must be a whole number from 1 to 1000000'],
    ['PLANS', 'hunter2', 'must be JSON like {"free":{"tunnels":5}}: '],
    ['LOG_LEVEL', 'hunter2', 'Invalid option: '],
  ])('says of a wrong %s what it must be, and not what it is', (name, value, message) => {
    const read = () => readConfig({ ...required, [name]: value })
    expect(read).toThrow(`Settings: ${name}: ${message}`)
    expect(read).not.toThrow('hunter2')
  })
})
