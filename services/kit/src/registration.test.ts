import { describe, expect, it } from 'vitest'
import { defaultRegistration } from './registration.ts'

describe('defaultRegistration', () => {
  it('is open on localhost and closed elsewhere', () => {
    for (const domain of ['localhost', 'dev.localhost']) expect(defaultRegistration(domain)).toBe('open')
    for (const domain of ['example.com', 'localhost.example.com', 'mylocalhost', '127.0.0.1'])
      expect(defaultRegistration(domain)).toBe('closed')
  })
})
