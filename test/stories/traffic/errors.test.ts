import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Accounts, accountsOf } from '@instatunnel/test/accounts'
import { makeTunnel, type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { type Told, type Visitor, visitorOf } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** What visitors are told where no site answers: which it is, and whose turn it is to act. */

let stack: TestStack
let accounts: Accounts
let open: OpenTunnel
beforeAll(async () => {
  const relay = { RESPONSE_TIMEOUT_SECONDS: '1', MAX_REQUESTS_PER_AGENT: '3' }
  stack = await startTestStack({ env: { relay } })
  accounts = accountsOf(stack.call)
  open = await openTunnel(stack, accounts)
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

interface Expected {
  status: number
  body: { error: string; message: string; code: number; retry_after?: number }
  /** What a page says beside the message. */
  title: string
  turn: RegExp
}

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

const headerNames = ({ headers }: Told) => headers.filter((_, at) => at % 2 === 0)

/** The same fault, asked for by a program, by a browser, and without a body. */
async function expectFault(visitor: Visitor, path: string, { status, body, title, turn }: Expected) {
  const common = ['content-type', 'content-length', 'cache-control', 'x-content-type-options', 'vary']
  const retry = body.retry_after === undefined ? [] : ['retry-after']

  const told = await visitor.get(path)
  expect({ status: told.status, body: JSON.parse(told.text) }).toEqual({ status, body })
  expect(told.header('content-type')).toBe('application/json')
  expect(headerNames(told)).toEqual([...common, ...retry, 'date', 'connection'])

  const page = await visitor.get(path, { headers: { accept: BROWSER } })
  expect(page.status).toBe(status)
  expect(page.header('content-type')).toBe('text/html; charset=utf-8')
  expect(page.header('cache-control')).toBe('no-store')
  expect(headerNames(page)).toEqual([...common, 'content-security-policy', ...retry, 'date', 'connection'])
  expect(page.text).toContain(`<title>${title}</title>`)
  expect(page.text).toContain(body.message)
  expect(page.text).toMatch(turn)
  // It needs nothing else, and nothing in it runs.
  expect(page.text).not.toMatch(/\b(src|href)=|<script|@import|url\(/i)

  const head = await visitor.get(path, { method: 'HEAD' })
  expect([head.status, head.body.length]).toEqual([status, 0])
}

it('404: there is no such tunnel', () =>
  expectFault(visitorOf(stack, 'nobody-has-this'), '/', {
    status: 404,
    body: { error: 'not_found', message: 'There is no tunnel with this name.', code: 4004 },
    title: 'No such tunnel',
    turn: /Check the address/,
  }))

it('404 too for names that no tunnel can have', async () => {
  for (const name of ['a.b', 'under_score', 'x'.repeat(63), '-a', 'xn--nxasmq6b'])
    expect((await visitorOf(stack, name).get('/')).status, name).toBe(404)
})

it('502: the tunnel has no agent', async () => {
  const tunnel = await makeTunnel(stack, accounts)
  await expectFault(tunnel.visitor, '/any?path', {
    status: 502,
    body: {
      error: 'tunnel_offline',
      message: 'The tunnel exists, but no agent is connected to it.',
      code: 5002,
    },
    title: 'The tunnel is offline',
    turn: /owner has to start the agent/,
  })
  // And once it had one, and that has left.
  const agent = await tunnel.connect()
  expect((await tunnel.visitor.get('/hello')).text).toBe('hello')
  await agent.leave()
  const since = performance.now()
  expect((await tunnel.visitor.get('/hello')).status).toBe(502)
  expect(performance.now() - since).toBeLessThan(1000) // nobody is waited for who said that he leaves
  await tunnel.close()
})

it('502: nothing listens behind the agent', async () => {
  const other = await openTunnel(stack, accounts)
  await other.site.close()
  await expectFault(other.visitor, '/', {
    status: 502,
    body: {
      error: 'tunnel_offline',
      message: 'The tunnel is connected, but its local server does not take connections.',
      code: 5002,
    },
    title: 'Nothing listens behind the tunnel',
    turn: /start the server on the port/,
  })
  await other.agent.leave()
})

it('502: the local server ends without an answer', async () => {
  const breakOff = async () => {
    const { request } = await open.site.arrival('/no-answer')
    request.socket.destroy()
    breakOff()
  }
  breakOff()
  await expectFault(open.visitor, '/no-answer', {
    status: 502,
    body: {
      error: 'tunnel_offline',
      message: 'The local server behind the tunnel ended the request without a valid answer.',
      code: 5002,
    },
    title: 'The local server broke off',
    turn: /log of the local server/,
  })
})

it('504: the local server does not answer in time', async () => {
  const never = async () => {
    await open.site.arrival('/never')
    never()
  }
  never()
  await expectFault(open.visitor, '/never', {
    status: 504,
    body: {
      error: 'timeout',
      message: 'The local server behind the tunnel did not answer in time.',
      code: 5004,
    },
    title: 'The local server is too slow',
    turn: /local server/,
  })
})

it('an upload that moves is not cut, however long it takes', async () => {
  const arrival = open.site.arrival('/slowly')
  const asked = open.visitor.ask('/slowly', { method: 'POST', headers: { 'transfer-encoding': 'chunked' } })
  const answer = once(asked, 'response')
  asked.write('begun')
  const { request, response } = await arrival
  const since = performance.now()
  request.resume().on('end', () => response.end('whole'))
  while (performance.now() - since < 2000) {
    const heard = once(request, 'data')
    asked.write('more')
    await heard
    await delay(200)
  }
  asked.end()
  const [{ statusCode }] = await answer
  expect(statusCode).toBe(200)
})

it("a tunnel's own response timeout goes before the platform's, and may change", async () => {
  const patient = await openTunnel(stack, accounts, undefined, { response_timeout: 0 })
  /** A visit that is answered after longer than the platform's timeout. */
  const visitLater = async () => {
    const arrival = patient.site.arrival('/later')
    const answer = patient.visitor.get('/later')
    const { response } = await arrival
    await delay(1500)
    response.end('at last')
    return (await answer).status
  }
  expect(await visitLater()).toBe(200)
  const changed = await stack.call('PATCH', `/v1/tunnels/${patient.id}`, {
    token: patient.owner.token,
    body: { response_timeout: 1 },
  })
  expect(changed).toMatchObject({ status: 200, body: { response_timeout: 1 } })
  await expect.poll(visitLater, { timeout: 10_000 }).toBe(504)
  await patient.close()
})

it('503: the agent has as many requests as it may have', async () => {
  const other = await openTunnel(stack, accounts)
  const held = [1, 2, 3].map(() => other.site.arrival('/held'))
  const answers = held.map(() => other.visitor.get('/held'))
  for (const { response } of await Promise.all(held)) response.write('begun') // so that they may take longer
  await expectFault(other.visitor, '/hello', {
    status: 503,
    body: {
      error: 'unavailable',
      message: 'The tunnel is working on as many requests as it may at once.',
      code: 5003,
      retry_after: 1,
    },
    title: 'Too many requests at once',
    turn: /in a moment/,
  })
  for (const { response } of await Promise.all(held)) response.end()
  await Promise.all(answers)
  expect((await other.visitor.get('/hello')).text).toBe('hello')
  await other.close()
})

it('the same over HTTP/2', async () => {
  const session = visitorOf(stack, 'nobody-has-this').http2()
  const stream = session.request({
    ':authority': `nobody-has-this.localhost:${stack.gateway.port}`,
    accept: BROWSER,
  })
  const page = (await stream.setEncoding('utf8').toArray()).join('')
  expect(stream.sentHeaders).toBeDefined()
  expect(page).toContain('<title>No such tunnel</title>')
  session.close()
})
