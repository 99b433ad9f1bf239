import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'

describe('readConfig', () => {
  it('needs nothing', () => {
    expect(readConfig({})).toMatchObject({
      gatewayPort: 8080,
      domain: 'localhost',
      replicas: 1,
      databaseUrl: undefined,
    })
  })

  it('names every variable at fault', () => {
    const bad = {
      INSTATUNNEL_PORT: '80800',
      INSTATUNNEL_REPLICAS: '0',
      TRUSTED_HOPS: 'two',
      INSTATUNNEL_DOMAIN: 'A..b',
      REGISTRATION: 'public',
    }
    expect(() => readConfig(bad)).toThrow(
      /INSTATUNNEL_PORT: must be .* 65535.*INSTATUNNEL_DOMAIN: .*INSTATUNNEL_REPLICAS: .*REGISTRATION: must be open.*TRUSTED_HOPS: /,
    )
  })

  it('shows no value, for it may hold a password', () => {
    expect(() => readConfig({ DATABASE_URL: 'mysql://me:hunter2@db' })).toThrow(
      /^Settings: DATABASE_URL: must be a postgres:\/\/ URL$/,
    )
  })

  it('wants an admin with both e-mail and password', () => {
    expect(() => readConfig({ INSTATUNNEL_ADMIN_EMAIL: 'ops@example.com' })).toThrow(
      /INSTATUNNEL_ADMIN_PASSWORD/,
    )
  })
})
