import { once } from 'node:events'
import type { RunningProcess } from '@instatunnel/local/process'
import { type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { makeTunnel, type Tunnel } from '@instatunnel/test/open-tunnel'
import { askToConnect } from '@instatunnel/test/raw-agent'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** What passes through tunnels is the business of visitor and site, and what agents connect with is a secret. */

let stack: TestStack
let accounts: Accounts
let tunnel: Tunnel
const logs: string[] = []
beforeAll(async () => {
  stack = await startTestStack({ settings: { LOG_LEVEL: 'trace' } })
  for (const process of stack.processes()) listenTo(process)
  accounts = accountsOf(stack.call)
  tunnel = await makeTunnel(stack, accounts)
})
afterAll(async () => {
  await tunnel?.close()
  await stack?.stop()
})

const listenTo = (process: RunningProcess) => {
  logs.push(...process.lines())
  process.onLine((line) => logs.push(line))
}

/** What visitors and sites tell one another; each is looked for in all logs. */
const theirs = {
  path: 'path-of-a-visitor',
  query: 'query-of-a-visitor',
  basic: 'cGFzc3dvcmQ6b2YtYS12aXNpdG9y',
  bearer: 'bearer-of-a-visitor',
  cookie: 'cookie-of-a-visitor',
  referer: 'referer-of-a-visitor',
  body: 'body-of-a-visitor',
  setCookie: 'cookie-of-a-site',
  answer: 'answer-of-a-site',
  message: 'message-on-a-websocket',
}

async function visitEverything(): Promise<void> {
  const { visitor, site } = tunnel
  const path = `/${theirs.path}?token=${theirs.query}`
  const headers = {
    authorization: `Basic ${theirs.basic}`,
    cookie: `own=${theirs.cookie}; instatunnel_session=${tunnel.owner.token}`,
    referer: `http://elsewhere/${theirs.referer}`,
    'x-api-key': theirs.bearer,
  }
  const arrival = site.arrival(`/${theirs.path}`)
  const answer = visitor.get(path, { method: 'POST', body: theirs.body, headers })
  ;(await arrival).response.writeHead(200, { 'set-cookie': `a=${theirs.setCookie}` }).end(theirs.answer)
  expect((await answer).text).toBe(theirs.answer)

  const socket = visitor.webSocket(`/ws/${theirs.path}?token=${theirs.query}`, [], headers)
  await once(socket, 'open')
  const echo = once(socket, 'message')
  socket.send(theirs.message)
  await echo
  const closed = once(socket, 'close')
  socket.close(1000, theirs.message)
  await closed

  const session = visitor.http2()
  const stream = session.request({ ':authority': visitor.host, ':path': path, ...headers })
  await stream.toArray()
  session.close()

  // What goes wrong is told as well, and as little is told of it.
  const cutOff = site.arrival(`/${theirs.path}/cut`)
  const broken = visitor.get(`/${theirs.path}/cut?${theirs.query}`, { headers }).catch(() => {})
  ;(await cutOff).request.socket.destroy()
  await broken
}

it('no line of any log tells a secret, nor what visitors and sites say', { timeout: 60_000 }, async () => {
  const { owner, id, token } = tunnel
  const key = await accounts.key(owner.token)
  const said: string[] = []
  const command = await tunnel.command()
  command.onLine((line) => said.push(line))
  said.push(...command.lines())
  const agents = [owner.token, owner.apiKey, token, key.key].map((credential) =>
    tunnel.connect({ credential }),
  )
  await Promise.all(agents)
  for (let round = 0; round < 10; round++) await visitEverything()
  const { host } = tunnel.visitor
  await tunnel.visitor.raw(`GET /${theirs.path} HTTP/1.1\r\nHost: ${host}\r\nX : ${theirs.bearer}\r\n\r\n`)

  // Refused, cut off, and come again.
  for (const credential of [`${key.key}x`, `${token}x`, owner.token])
    await askToConnect(stack, {
      tunnelId: 'tun_00000000000000000000000000',
      credential,
      query: `?t=${key.key}`,
    })
  bodyOf(await stack.call('DELETE', `/v1/auth/keys/${key.id}`, { token: owner.token }))
  const path = `/v1/tunnels/${id}/regenerate-token`
  const regenerated = bodyOf(await stack.call('POST', path, { token: owner.token })).token
  await stack.service('relay').restart()
  listenTo(stack.service('relay').process())
  await expect.poll(async () => (await tunnel.visitor.get('/hello')).status, { timeout: 10_000 }).toBe(200)
  await command.stop()
  await stack.call('GET', '/v1/the-last-of-all')
  await expect
    .poll(() => logs.some((line) => line.includes('/v1/the-last-of-all')), { timeout: 5000 })
    .toBe(true)

  const visits = logs.filter((line) => line.includes(tunnel.visitor.host))
  expect(visits.length).toBeGreaterThan(20)
  expect(logs.filter((line) => line.includes('"service":"relay"')).length).toBeGreaterThan(5)
  expect(said.some((line) => line.includes('"event":"request"'))).toBe(true)

  const secrets = [...accounts.secrets, regenerated]
  const signatures = secrets.flatMap((secret) => (secret.startsWith('eyJ') ? secret.split('.').slice(2) : []))
  const platform = [
    ...Object.values(stack.secrets.serviceKeys).map((pem) => pem.split('\n')[1] ?? pem),
    ...Object.values(stack.nats.seeds),
  ]
  const telling = (lines: readonly string[], texts: readonly string[]) =>
    lines.filter((line) => texts.some((text) => line.includes(text))).map((line) => line.slice(0, 500))
  expect(telling(logs, [...secrets, ...signatures, ...platform, ...Object.values(theirs)])).toEqual([])
  // Nor a connect token, which is good for a minute: `{"alg":"EdDSA"`, as any of ours begins.
  expect(telling(logs, ['eyJhbGciOiJFZERTQSIs'])).toEqual([])
  // The command shows its user which paths are visited, and no credential of anybody's.
  const { path: _, query: __, ...hidden } = theirs
  expect(telling(said, [...secrets, ...signatures, ...Object.values(hidden)])).toEqual([])
})
