import { describe, expect, it } from 'vitest'
import { urlOf } from './address.ts'

describe('urlOf', () => {
  it.each([
    ['http://localhost:8080', 'localhost', 'http://my-app.localhost:8080'],
    ['https://api.example.com', 'example.com', 'https://my-app.example.com'],
    ['https://api.example.com:443/', 'example.com', 'https://my-app.example.com'],
    ['http://api.example.com:443', 'example.com', 'http://my-app.example.com:443'],
    ['http://api.example.com:80', 'example.dev', 'http://my-app.example.dev'],
  ])('takes scheme and port of %s under %s', (gateway, domain, url) => {
    expect(urlOf('my-app', { domain, gateway: new URL(gateway) })).toBe(url)
  })
})
