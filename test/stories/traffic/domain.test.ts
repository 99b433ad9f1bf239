import { accountsOf } from '@instatunnel/test/accounts'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { valuesOf, visitorAt } from '@instatunnel/test/visitor'
import { afterAll, beforeAll, expect, it } from 'vitest'

/** Sites below a domain of one's own, behind a proxy of one's own. */

const domain = 'tunnels.example'

let stack: TestStack
let open: OpenTunnel
beforeAll(async () => {
  stack = await startTestStack({
    settings: { INSTATUNNEL_DOMAIN: domain, REGISTRATION: 'open', TRUSTED_HOPS: '1' },
  })
  open = await openTunnel(stack, accountsOf(stack.call))
})
afterAll(async () => {
  await open?.close()
  await stack?.stop()
})

const heard = async (headers: Record<string, string>) =>
  JSON.parse((await open.visitor.get('/', { headers })).text).headers as string[]

it('are where the API says, and nowhere else', async () => {
  const { port } = stack.gateway
  expect(open.agent.url).toBe(`http://${open.subdomain}.${domain}:${port}`)
  expect(open.visitor.host).toBe(`${open.subdomain}.${domain}:${port}`)
  for (const host of [`${open.subdomain}.${domain}`, `${open.subdomain.toUpperCase()}.Tunnels.Example:80`])
    expect((await visitorAt(stack, host).get('/hello')).text).toBe('hello')
  for (const host of [
    `${open.subdomain}.localhost`,
    `a.${open.subdomain}.${domain}`,
    `${open.subdomain}.${domain}.evil.example`,
    open.subdomain,
  ])
    expect((await visitorAt(stack, host).get('/hello')).status, host).toBe(404)
})

it('hear of the visitor what the proxy says, and of nobody else', async () => {
  const headers = await heard({
    'x-forwarded-for': '203.0.113.9, 198.51.100.7',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example',
    'x-real-ip': '203.0.113.9',
  })
  expect(valuesOf(headers, 'x-forwarded-for')).toEqual(['198.51.100.7'])
  expect(valuesOf(headers, 'x-real-ip')).toEqual(['198.51.100.7'])
  expect(valuesOf(headers, 'x-forwarded-proto')).toEqual(['https'])
  expect(valuesOf(headers, 'x-forwarded-host')).toEqual([open.visitor.host])
})

it('hear the visitor’s address, whatever bytes it writes before what the proxy says', async () => {
  const headers = await heard({ 'x-forwarded-for': '\xff:., ::ffff:198.51.100.7' })
  for (const name of ['x-forwarded-for', 'x-real-ip'])
    expect(valuesOf(headers, name)).toEqual(['198.51.100.7'])
})

it('get no session of the API’s, and set no cookie for their neighbours', async () => {
  const cookie = `a=1; __Host-instatunnel_session=${open.owner.token}; __Host-session=${open.owner.token}`
  expect(valuesOf(await heard({ cookie }), 'cookie')).toEqual(['a=1'])

  const arrival = open.site.arrival('/cookies')
  const answer = open.visitor.get('/cookies')
  const own = ['a=1', `b=2; Domain=${open.subdomain}.${domain}`, 'c=3; Domain=elsewhere.example']
  const wide = [domain, `.${domain}`, 'Example', '.example', 'TUNNELS.EXAMPLE'].map(
    (name) => `x=1; Domain=${name}`,
  )
  ;(await arrival).response.writeHead(200, { 'set-cookie': [...own, ...wide] }).end()
  expect(valuesOf((await answer).headers, 'set-cookie')).toEqual(own)
})

it('are each their own, also on one connection', async () => {
  const other = await openTunnel(stack, accountsOf(stack.call))
  const session = open.visitor.http2()
  for (const each of [open, other, open, other]) {
    const before = each.site.requests
    const stream = session.request({ ':authority': each.visitor.host, ':path': '/hello' })
    expect((await stream.setEncoding('utf8').toArray()).join('')).toBe('hello')
    expect(each.site.requests).toBe(before + 1)
  }
  session.close()
  await other.close()
})
