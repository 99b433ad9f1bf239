import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  gateway.auth.check.asked.length = 0
})

describe('the page on which an invitation is accepted', () => {
  it('is there for everybody, by the gateway alone, and kept by no cache', async () => {
    const page = await gateway.call('GET', '/invite')
    expect(page.status).toBe(200)
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-length': String(Buffer.byteLength(page.body)),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    })
    expect(page.headers).not.toHaveProperty('set-cookie')
    expect(page.body).toMatch(/^<!doctype html>.*<\/html>\n$/s)
    expect(gateway.auth.check.asked).toEqual([])
  })

  it('runs the script that stands in it and no other, asks its own host only, and is in no frame', async () => {
    const { headers, body } = await gateway.call('GET', '/invite')
    const sources = (element: string) => {
      const found = [...body.matchAll(new RegExp(`<${element}[^>]*>(.*?)</${element}>`, 'gs'))]
      return found.map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
    }
    const [script, style] = [sources('script'), sources('style')]
    expect([script, style]).toEqual([[expect.any(String)], [expect.any(String)]])
    expect(headers['content-security-policy']?.split('; ')).toEqual([
      "default-src 'none'",
      `script-src ${script}`,
      `style-src ${style}`,
      "connect-src 'self'",
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ])
    // Attributes that the policy would refuse, and what would be loaded from elsewhere.
    expect(body).not.toMatch(/<[^>]*\s(on\w+|style|src|href|action)=/)
    expect(body).not.toMatch(/https?:|url\(|@import|innerHTML/)
  })

  it('answers HEAD as GET, without the page', async () => {
    const [page, head] = [await gateway.call('GET', '/invite'), await gateway.call('HEAD', '/invite')]
    expect([head.status, head.body]).toEqual([200, ''])
    expect(head.headers['content-security-policy']).toBe(page.headers['content-security-policy'])
  })

  it('is at one path of the API, and no other host or method has it', async () => {
    for (const path of ['/invite/', '/invited', '/invite/x', '/v1/invite'])
      expect((await gateway.call('GET', path)).headers['content-type']).toBe('application/json')
    expect((await gateway.call('POST', '/invite', { body: '{}' })).headers['content-type']).toBe(
      'application/json',
    )
    expectAnswer(await gateway.call('GET', '/invite', { host: 'elsewhere.test' }), answers.noSuchPath)
    gateway.relay.answer = (_, response) => void response.end('theirs')
    expect((await gateway.call('GET', '/invite', { host: 'site.tunnels.test' })).body).toBe('theirs')
  })
})
