import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Config, readConfig } from './config.ts'
import { recordOf } from './record-of.ts'
import type { Secrets } from './secrets.ts'
import { type ServiceSurroundings, serviceEnvironment } from './service-environment.ts'
import { serviceNames } from './service-names.ts'

const pems = recordOf(serviceNames, () => generateKeyPairSync('ed25519'))
const secrets: Secrets = {
  authSecret: randomBytes(32).toString('base64'),
  keyPeppers: JSON.stringify({ p1: randomBytes(32).toString('base64') }),
  tokenPeppers: JSON.stringify({ p1: randomBytes(32).toString('base64') }),
  tokenSecret: randomBytes(32).toString('base64'),
  serviceKeys: recordOf(serviceNames, (name) =>
    pems[name].privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ),
  servicePublicKeys: recordOf(serviceNames, (name) =>
    pems[name].publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  ),
}

const around = (settings: Record<string, string> = {}, more: Partial<ServiceSurroundings> = {}) => ({
  config: readConfig(settings) as Config,
  secrets,
  databaseUrls: recordOf(serviceNames, (name) => `postgres://${name}@127.0.0.1/instatunnel`),
  natsUrl: 'nats://127.0.0.1:4222',
  natsSeeds: recordOf(serviceNames, (name) => `seed of ${name}`),
  addresses: recordOf(serviceNames, () => ['127.0.0.1:1']),
  publicUrl: 'http://localhost:8080',
  ...more,
})

describe('serviceEnvironment', () => {
  it.each(serviceNames)('tells %s what it reads, and nothing else', async (name) => {
    const everything = {
      ...{ LIMIT_AUTH_PER_MINUTE: '1', LIMIT_READ_PER_MINUTE: '2', LIMIT_WRITE_PER_MINUTE: '3' },
      ...{
        LIMIT_REGENERATE_PER_HOUR: '4',
        TRUSTED_HOPS: '1',
        POSTGRES_POOL_SIZE: '5',
        PLANS: '{}',
        RESPONSE_TIMEOUT_SECONDS: '0',
        LOG_LEVEL: 'warn',
      },
      ...{ INSTATUNNEL_ADMIN_EMAIL: 'ops@example.com', INSTATUNNEL_ADMIN_PASSWORD: 'correct horse battery' },
    }
    const told = serviceEnvironment(name, around(everything))
    const { readConfig: read } = await import(`../../services/${name}/src/config.ts`)
    const asked = new Set<string>()
    const watched = new Proxy(told, {
      get(target, key: string) {
        asked.add(key)
        return target[key]
      },
    })
    read(watched)
    const shared = ['TZ', 'AUTH_ADDRESS', 'KEYS_ADDRESS', 'TUNNELS_ADDRESS', 'PUBLIC_URL', 'DOMAIN']
    expect(Object.keys(told).filter((key) => !asked.has(key) && !shared.includes(key))).toEqual([])
  })

  it('gives each service its own secrets alone', () => {
    for (const name of serviceNames) {
      const told = JSON.stringify(serviceEnvironment(name, around()))
      for (const other of serviceNames) {
        expect(told.includes(`seed of ${other}`)).toBe(other === name)
        expect(told.includes(`postgres://${other}@`)).toBe(other === name && name !== 'relay')
        expect(told.includes(JSON.stringify(secrets.serviceKeys[other]))).toBe(other === name)
      }
      expect(told.includes(secrets.authSecret)).toBe(name === 'auth')
      expect(told.includes(secrets.tokenSecret)).toBe(name === 'tunnels')
    }
  })

  it('leaves out what is not set, and the seeds of a NATS of one’s own', () => {
    const told = serviceEnvironment('auth', around({}, { natsSeeds: {} }))
    expect(told).not.toHaveProperty('NATS_SEED')
    expect(told).not.toHaveProperty('LIMIT_AUTH_PER_MINUTE')
    expect(Object.values(told)).not.toContain('undefined')
  })

  it('names every replica', () => {
    const addresses = recordOf(serviceNames, () => ['127.0.0.1:1', '127.0.0.1:2'])
    expect(serviceEnvironment('auth', around({}, { addresses })).KEYS_ADDRESS).toBe(
      'ipv4:127.0.0.1:1,127.0.0.1:2',
    )
  })
})
