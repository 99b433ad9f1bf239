import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'
import type { Stack } from './stack.ts'
import { welcome } from './welcome.ts'

const stack = {
  gateway: { url: 'http://localhost:8080', port: 8080 },
  services: [],
  nats: undefined,
  postgres: undefined,
  logDir: '/logs',
} as unknown as Stack
const saidWith = (settings: Record<string, string>) => welcome(stack, readConfig(settings))

describe('welcome', () => {
  it('shows how to register where everybody may', () => {
    const open: Record<string, string>[] = [
      {},
      { INSTATUNNEL_DOMAIN: 'tunnels.example', REGISTRATION: 'open' },
    ]
    for (const settings of open) {
      expect(saidWith(settings)).toContain('/v1/auth/register')
      expect(saidWith(settings)).not.toContain('admin invite')
    }
  })

  it('shows how to invite where not everybody may', () => {
    const others: Record<string, string>[] = [
      { INSTATUNNEL_DOMAIN: 'tunnels.example' },
      { REGISTRATION: 'closed' },
      { REGISTRATION: 'domain:example.com' },
    ]
    for (const settings of others) {
      expect(saidWith(settings)).toContain('npx instatunnel admin invite you@example.com')
      expect(saidWith(settings)).not.toContain('/v1/auth/register')
    }
  })

  it('ends with the line that says that all is ready', () => {
    for (const settings of [undefined, { REGISTRATION: 'closed' }])
      expect(
        saidWith(settings ?? {})
          .trimEnd()
          .split('\n')
          .at(-1),
      ).toBe('ready http://localhost:8080')
  })
})
