import { newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'

const needed = {
  DATABASE_URL: 'postgres://127.0.0.1/instatunnel',
  SERVICE_KEY: newKeyPair().privateKey,
  SERVICE_PUBLIC_KEYS: '{}',
  TOKEN_PEPPERS: JSON.stringify({ p1: Buffer.alloc(32).toString('base64') }),
  TOKEN_SECRET: Buffer.alloc(32).toString('base64'),
}

describe('readConfig', () => {
  it('needs little, and has a default for the rest', () => {
    expect(readConfig(needed)).toMatchObject({
      LISTEN: '127.0.0.1:50053',
      AUTH_ADDRESS: '127.0.0.1:50051',
      DOMAIN: 'localhost',
      PUBLIC_URL: new URL('http://localhost:8080'),
      LIMIT_REGENERATE_PER_HOUR: 5,
      PLANS: { free: { tunnels: 3 }, pro: { tunnels: 25 }, business: { tunnels: 250 } },
    })
  })

  it.each(Object.keys(needed))('stops where %s is not set', (name) => {
    expect(() => readConfig({ ...needed, [name]: '' })).toThrow(`Settings: ${name} is not set`)
  })

  it.each([
    ['TOKEN_SECRET', 'c2hvcnQ=', 'must be 32 bytes in base64'],
    ['TOKEN_PEPPERS', '{}', 'must be a JSON object, id to 32 bytes in base64'],
    ['DOMAIN', 'Example.com:80', 'must be a host name in lower case, without a port'],
    ['DOMAIN', 'd'.repeat(190), 'must leave room for subdomains: 189 characters at most'],
    ['PUBLIC_URL', 'ftp://example.com', 'must be http:// or https://, a host and at most a port'],
    ['PUBLIC_URL', 'https://example.com/path', 'must be http:// or https://, a host and at most a port'],
    ['PUBLIC_URL', 'https://exa mple.com:x', 'must be a URL'],
    ['LIMIT_REGENERATE_PER_HOUR', 'five', 'must be a whole number from 1 to 1000000'],
    ['LISTEN', 'nowhere', 'must be host:port'],
  ])('stops where %s is %s, without showing it', (name, value, message) => {
    expect(() => readConfig({ ...needed, [name]: value })).toThrow(`Settings: ${name}: ${message}`)
    expect(() => readConfig({ ...needed, [name]: value })).not.toThrow(value)
  })
})
