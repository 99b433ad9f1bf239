import { readRestBindings } from '@instatunnel/kit/rest-bindings'
import { descriptorsFile, readRules } from '@instatunnel/kit/rules'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers, errorBody, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'
import { sendRaw } from './test/raw-http.ts'

/** How large the body of a call may be, and when it must be whole. */

let gateway: TestGateway
beforeAll(async () => {
  // Half a second in place of ten, or of three.
  const edit = (_: string, text: string) =>
    text.replace(/max_stream_duration: (10|3)s/g, 'max_stream_duration: 0.5s')
  gateway = await startGateway({ edit })
})
afterAll(() => gateway?.stop())
beforeEach(() => {
  for (const { heard } of [gateway.auth, gateway.tunnels]) heard.length = 0
  gateway.auth.check.asked.length = 0
  gateway.auth.check.decide = () => ({ admit: true })
})

const bearer = { authorization: 'Bearer it_0123456789abcdef' }
const tooLarge = (message: string) => [413, errorBody('payload_too_large', 4014, message)] as const
const pastSignIn = tooLarge('The body is larger than 8 KiB.')
const pastUnannounced = tooLarge('The body is larger than 128 KiB, and no Content-Length came with it.')
const pastAnonymous = tooLarge('The body is larger than 16 KiB, and no credential came with it.')

/** JSON of so many bytes, which every call takes. */
const bodyOf = (length: number) => `{${' '.repeat(length - 2)}}`

const headOf = (path: string, headers: Record<string, string>) =>
  Object.entries({ host: 'api.test', 'content-type': 'application/json', ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .reduce((head, line) => head + line, `POST ${path} HTTP/1.1\r\n`)

/** Sends the body in one chunk, or as much of it as it says. */
const chunked = (path: string, body: string, headers: Record<string, string> = {}) =>
  sendRaw(gateway.port, [
    `${headOf(path, { ...headers, 'transfer-encoding': 'chunked' })}\r\n`,
    `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  ])

/** Sends a head that announces a body, and of that the first byte. */
const begun = (path: string, length: number, headers: Record<string, string> = {}) =>
  sendRaw(gateway.port, `${headOf(path, { ...headers, 'content-length': String(length) })}\r\n{`)

describe('a body', () => {
  it('has at most 8 KiB where somebody signs in, whatever comes with it', async () => {
    for (const path of ['/v1/auth/login', '/v1/auth/register', '/v1/auth/login/'])
      for (const headers of [{}, bearer]) {
        expectAnswer(await begun(path, 8193, headers), pastSignIn)
        expectAnswer(await chunked(path, bodyOf(8193), headers), pastSignIn)
        expectAnswer(await chunked(path, bodyOf(900_000), headers), pastSignIn)
        expect((await chunked(path, bodyOf(8192), headers)).status).toBe(200)
      }
  })

  it('has at most 16 KiB where nothing has the form of a credential', async () => {
    const none: Record<string, string>[] = [
      {},
      { authorization: 'Bearer x' },
      { authorization: 'Basic eDp5eDp5eDp5eDp5eDp5' },
      { cookie: 'a=1' },
    ]
    for (const headers of none) {
      expectAnswer(await begun('/v1/tunnels', 16_385, headers), pastAnonymous)
      expectAnswer(await chunked('/v1/tunnels', bodyOf(16_385), headers), pastAnonymous)
      expect((await chunked('/v1/tunnels', bodyOf(16_384), headers)).status).toBe(200)
    }
  })

  it('has at most 1 MiB with a credential', async () => {
    for (const headers of [bearer, { cookie: 'a=1; session=eyJ' }, { cookie: '__Host-session=eyJ' }]) {
      expectAnswer(await begun('/v1/tunnels', 1_048_577, headers), answers.tooLarge)
      const whole = await gateway.call('POST', '/v1/tunnels', { headers, body: bodyOf(1_048_576) })
      expect(whole.status).toBe(200)
    }
  })

  it('has at most 128 KiB where its length is not announced', async () => {
    expectAnswer(await chunked('/v1/tunnels', bodyOf(131_073), bearer), pastUnannounced)
    expectAnswer(await chunked('/v1/tunnels', bodyOf(1_048_577), bearer), pastUnannounced)
    expect((await chunked('/v1/tunnels', bodyOf(131_072), bearer)).status).toBe(200)
  })

  it('is told to auth where it is not small, and its call may have one', async () => {
    const told = async (method: string, path: string, headers: Record<string, string>) => {
      await sendRaw(gateway.port, `${headOf(path, headers).replace('POST', method)}\r\n`)
      return gateway.auth.check.asked.pop()?.attributes?.contextExtensions
    }
    for (const length of ['10000', '99999', '100000', '1048576', '0000000009'])
      expect(await told('POST', '/v1/tunnels', { ...bearer, 'content-length': length })).toEqual({
        body: 'large',
      })
    const unannounced = { ...bearer, 'transfer-encoding': 'chunked' }
    expect(await told('PATCH', '/v1/tunnels/tun_1', unannounced)).toEqual({ body: 'large' })
    expect(await told('POST', '/v1/tunnels', { ...bearer, 'content-length': '9999' })).toEqual({})
    expect(await told('POST', '/v1/auth/login', unannounced)).toEqual({})
    for (const method of ['GET', 'DELETE'])
      for (const headers of [unannounced, { ...bearer, 'content-length': '10000' }])
        expect(await told(method, '/v1/tunnels/tun_1', headers)).toEqual({})
  })

  it('has no more where the client asks whether it is wanted', async () => {
    for (const [path, length, answer] of [
      ['/v1/auth/login', 8193, pastSignIn],
      ['/v1/tunnels', 16_385, pastAnonymous],
    ] as const)
      expect((await begun(path, length, { expect: '100-continue' })).text).toContain(answer[1])
  })

  it('is not read where auth refuses, or does not answer', async () => {
    gateway.auth.check.decide = () => ({ admit: false, http: 401, body: '{}' })
    expect((await begun('/v1/tunnels', 1_048_576, bearer)).status).toBe(401)
    expect((await begun('/v1/tunnels', 9)).status).toBe(401)
  })

  it('is whole within the time for it, or 408', async () => {
    for (const [path, headers] of [
      ['/v1/auth/login', {}],
      ['/v1/tunnels', {}],
      ['/v1/tunnels', bearer],
    ] as const)
      expectAnswer(await begun(path, 9, headers), answers.smallUnfinished)
    for (const length of [10_000, 100_000])
      expectAnswer(await begun('/v1/tunnels', length, bearer), answers.unfinished)
    const { text } = await begun('/v1/tunnels', 9, { ...bearer, expect: '100-continue' })
    expect(text).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 408 /)
    expect(text).toContain(answers.smallUnfinished[1])
    expect([gateway.auth.heard, gateway.tunnels.heard]).toEqual([[], []])
  })

  it('that is whole gives its call the time that a call has', async () => {
    gateway.tunnels.reply = () => new Promise((resolve) => setTimeout(resolve, 1000, {}))
    expect((await gateway.call('POST', '/v1/tunnels', { headers: bearer, body: '{}' })).status).toBe(200)
    gateway.tunnels.reply = () => ({})
  })
})

it('signs in by every rpc that is public, and by no other', () => {
  const rules = readRules(descriptorsFile())
  const open = readRestBindings(descriptorsFile()).filter(({ rpc }) => rules.get(rpc)?.kind === 'public')
  expect(open.map(({ template }) => template).sort()).toEqual(['/v1/auth/login', '/v1/auth/register'])
})
