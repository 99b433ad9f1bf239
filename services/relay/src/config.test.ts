import { newKeyPair } from '@instatunnel/test/identity'
import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'

const needed = {
  SERVICE_KEY: newKeyPair().privateKey,
  SERVICE_PUBLIC_KEYS: '{}',
}

describe('readConfig', () => {
  it('needs little, and has a default for the rest', () => {
    expect(readConfig(needed)).toMatchObject({
      LISTEN: '127.0.0.1:50054',
      PEER_LISTEN: '127.0.0.1:0',
      AUTH_ADDRESS: '127.0.0.1:50051',
      TUNNELS_ADDRESS: '127.0.0.1:50053',
      DOMAIN: 'localhost',
      PUBLIC_URL: new URL('http://localhost:8080'),
      RESPONSE_TIMEOUT_SECONDS: 120,
      MAX_REQUESTS_PER_AGENT: 1000,
      MAX_WEBSOCKETS_PER_AGENT: 1000,
      MAX_AGENTS_PER_TUNNEL: 32,
    })
    expect(readConfig(needed).PEER_ADDRESS).toBeUndefined()
  })

  it('takes IPv6 addresses, and is told where other relays reach it', () => {
    const set = { ...needed, LISTEN: '[::1]:1', PEER_LISTEN: '0.0.0.0:7000', PEER_ADDRESS: '10.0.0.7:7000' }
    expect(readConfig(set)).toMatchObject({ LISTEN: '[::1]:1', PEER_ADDRESS: '10.0.0.7:7000' })
  })

  it.each(Object.keys(needed))('stops where %s is not set', (name) => {
    expect(() => readConfig({ ...needed, [name]: '' })).toThrow(`Settings: ${name} is not set`)
  })

  it.each(['0.0.0.0:7000', '[::]:7000'])(
    'stops where it takes peers at %s, and no peer can know what address that is',
    (PEER_LISTEN) => {
      expect(() => readConfig({ ...needed, PEER_LISTEN })).toThrow('Settings: PEER_ADDRESS is not set')
    },
  )

  it.each([
    ['DOMAIN', 'Example.com:80', 'must be a host name in lower case, without a port'],
    ['PUBLIC_URL', 'ftp://example.com', 'must be http:// or https://, a host and at most a port'],
    ['PUBLIC_URL', 'https://example.com/path', 'must be http:// or https://, a host and at most a port'],
    ['PUBLIC_URL', 'https://exa mple.com:x', 'must be a URL'],
    ['LISTEN', 'nowhere', 'must be host:port'],
    ['PEER_LISTEN', 'nowhere', 'must be host:port'],
    ['PEER_ADDRESS', 'http://x', 'must be host:port'],
    ['RESPONSE_TIMEOUT_SECONDS', '2h', 'must be a whole number from 0 to 3600'],
    ['MAX_REQUESTS_PER_AGENT', 'many', 'must be a whole number from 1 to 100000'],
    ['MAX_WEBSOCKETS_PER_AGENT', 'all', 'must be a whole number from 1 to 100000'],
    ['MAX_AGENTS_PER_TUNNEL', '1001', 'must be a whole number from 1 to 1000'],
  ])('stops where %s is %s, without showing it', (name, value, message) => {
    expect(() => readConfig({ ...needed, [name]: value })).toThrow(`Settings: ${name}: ${message}`)
    expect(() => readConfig({ ...needed, [name]: value })).not.toThrow(value)
  })
})
