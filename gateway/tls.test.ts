import { readFileSync, renameSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { type AgentOptions, get } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import { ServerCredentials } from '@grpc/grpc-js'
import { createTransport, type TlsFiles } from '@instatunnel/kit/tls'
import { type CertificateFiles, makeAuthority } from '@instatunnel/test/certificates'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { clustersFile } from './place.ts'
import { answers, expectAnswer } from './test/error-shape.ts'
import { startGateway, type TestGateway } from './test/gateway.ts'

const [ours, theirs] = await Promise.all([makeAuthority(), makeAuthority()])
afterAll(() => Promise.all([ours.remove(), theirs.remove()]))
const gatewayFiles = await ours.sign('gateway', 'DNS:gateway')
const theirGatewayFiles = await theirs.sign('gateway', 'DNS:gateway')

async function start(options: Parameters<typeof startGateway>[0]): Promise<TestGateway> {
  const gateway = await startGateway(options)
  onTestFinished(() => gateway.stop())
  return gateway
}

describe('towards clients', () => {
  const site = () => ours.sign('site', 'DNS:api.test')
  const files = async (signed: Promise<CertificateFiles>) => {
    const { certFile, keyFile } = await signed
    return { certFile, keyFile }
  }
  const trusting = { ca: readFileSync(ours.caFile), servername: 'api.test' }

  /** The status of GET /v1/tunnels over HTTPS. */
  const status = (port: number, options: AgentOptions = {}) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: 'api.test' }
      const asked = get(
        { host: '127.0.0.1', port, path: '/v1/tunnels', headers, agent: false, ...trusting, ...options },
        (answer) => {
          answer.resume()
          resolve(answer.statusCode)
        },
      )
      asked.on('error', reject)
    })

  it('answers over HTTPS, and not in clear', async () => {
    const gateway = await start({ downstreamTls: await files(site()) })
    expect(await status(gateway.port)).toBe(200)
    await expect(gateway.call('GET', '/v1/tunnels')).rejects.toThrow()
  })

  it('answers over HTTP/2 where the client can', async () => {
    const { port } = await start({ downstreamTls: await files(site()) })
    const session = connectHttp2(`https://127.0.0.1:${port}`, trusting)
    onTestFinished(() => void session.destroy())
    const stream = session.request({ ':path': '/v1/tunnels', ':authority': 'api.test' })
    const answered = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.on('response', resolve)
      stream.on('error', reject)
      session.on('error', reject)
    })
    expect(answered[':status']).toBe(200)
    expect((session.socket as TLSSocket).alpnProtocol).toBe('h2')
  })

  it('refuses TLS 1.1', async () => {
    const { port } = await start({ downstreamTls: await files(site()) })
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(status(port, old)).rejects.toThrow(/protocol version|unsupported protocol/i)
    expect(await status(port, { maxVersion: 'TLSv1.2' })).toBe(200)
  })

  it('asks for a certificate where it is told whom to trust', async () => {
    const { port } = await start({ downstreamTls: await site() })
    await expect(status(port)).rejects.toThrow()
    const pem = ({ certFile, keyFile }: CertificateFiles) => ({
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
    })
    await expect(status(port, pem(await theirs.sign('client', 'DNS:client')))).rejects.toThrow()
    expect(await status(port, pem(await ours.sign('client', 'DNS:client')))).toBe(200)
  })

  it('takes up a certificate that is moved in place of the old', async () => {
    const tls = await files(site())
    const { port } = await start({ downstreamTls: tls })
    const serial = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, ...trusting }, () => {
          resolve(socket.getPeerCertificate().serialNumber)
          socket.destroy()
        })
        socket.on('error', reject)
      })
    const first = await serial()
    const renewed = await ours.sign('renewed', 'DNS:api.test')
    renameSync(renewed.keyFile, tls.keyFile)
    renameSync(renewed.certFile, tls.certFile)
    await expect.poll(serial, { timeout: 10_000 }).not.toBe(first)
  })
})

describe('towards the services', () => {
  /** How a service speaks when TLS_* are set to these. */
  const transport = ({ certFile, keyFile, caFile }: CertificateFiles) =>
    createTransport({
      TLS_CERT_FILE: certFile,
      TLS_KEY_FILE: keyFile,
      TLS_CA_FILE: caFile,
      services: ['auth', 'keys', 'tunnels'],
    })
  const serving = (files: CertificateFiles) => transport(files).server
  const relay = async (name: string) => transport(await ours.sign(name, `DNS:${name}`)).files as TlsFiles
  const named = async (name: string) => serving(await ours.sign(name, `DNS:${name}`))
  const credentials = async () => ({
    auth: await named('auth'),
    keys: await named('keys'),
    tunnels: await named('tunnels'),
    relay: await relay('relay'),
  })
  const list = (gateway: TestGateway) => gateway.call('GET', '/v1/tunnels')

  it('speaks mutual TLS', async () => {
    const gateway = await start({ tls: gatewayFiles, credentials: await credentials() })
    expect((await gateway.call('GET', '/healthz')).status).toBe(200)
    expect((await list(gateway)).status).toBe(200)
    expect(gateway.auth.check.asked).toHaveLength(1)
    expect(gateway.tunnels.heard).toHaveLength(1)
  })

  it('speaks mutual TLS to a relay, by HTTP/1.1', async () => {
    const gateway = await start({ tls: gatewayFiles, credentials: await credentials() })
    const visit = () => gateway.call('GET', '/', { host: 'docs.tunnels.test' })
    expect((await visit()).status).toBe(200)
    expect(gateway.relay.heard).toHaveLength(1)

    const impostor = await start({
      tls: gatewayFiles,
      credentials: { ...(await credentials()), relay: await relay('keys') },
    })
    expectAnswer(await impostor.call('GET', '/', { host: 'docs.tunnels.test' }), answers.unavailable)
    expect(impostor.relay.heard).toEqual([])
  })

  it('takes a service for itself in its namespace', async () => {
    const tunnels = serving(await ours.sign('namespaced', 'DNS:tunnels.instatunnel.svc.cluster.local'))
    const gateway = await start({ tls: gatewayFiles, credentials: { ...(await credentials()), tunnels } })
    expect((await list(gateway)).status).toBe(200)
  })

  const impostors = {
    'of another service': () => named('keys'),
    'of the gateway': async () => serving(gatewayFiles),
    'with no more than the name’s beginning': async () =>
      serving(await ours.sign('like', 'DNS:tunnels-evil')),
    'with the name at its end': async () => serving(await ours.sign('like', 'DNS:evil.tunnels')),
    'with the name in a URI': async () => serving(await ours.sign('like', 'URI:tunnels')),
    'of somebody else’s authority': async () =>
      serving({ ...(await theirs.sign('tunnels', 'DNS:tunnels')), caFile: ours.caFile }),
    'at all: one in clear': async () => ServerCredentials.createInsecure(),
  }
  for (const [whose, impostor] of Object.entries(impostors)) {
    it(`sends nothing to a service with a certificate ${whose}`, async () => {
      const tunnels = await impostor()
      const gateway = await start({ tls: gatewayFiles, credentials: { ...(await credentials()), tunnels } })
      expectAnswer(await list(gateway), answers.unavailable)
      expect(gateway.tunnels.heard).toEqual([])
      expect((await gateway.call('GET', '/v1/auth/keys')).status).toBe(200)
    })
  }

  it('asks no other service than auth whether a call is allowed', async () => {
    const gateway = await start({
      tls: gatewayFiles,
      credentials: { ...(await credentials()), auth: await named('keys') },
    })
    expectAnswer(await list(gateway), answers.unavailable)
    expect(gateway.auth.check.asked).toEqual([])
  })

  const ownCertificate = /"tls_certificate_sds_secret_configs":\[.*?\}\}\}\],/g
  it('shows the services a certificate of its own', () => {
    const services = { auth: ['a:1'], check: ['a:2'], keys: ['k:1'], tunnels: ['t:1'], relay: ['r:1'] }
    expect(clustersFile({ services, tls: gatewayFiles }).match(ownCertificate)).toHaveLength(6)
  })

  const unproven: [what: string, options: Parameters<typeof startGateway>[0]][] = [
    [
      'without a certificate',
      {
        tls: gatewayFiles,
        edit: (_, text) => text.replace(ownCertificate, ''),
      },
    ],
    ['with a certificate of another authority', { tls: { ...theirGatewayFiles, caFile: ours.caFile } }],
    ['in clear', {}],
  ]
  for (const [what, options] of unproven) {
    it(`is refused by services ${what}`, async () => {
      const gateway = await start({ ...options, credentials: await credentials() })
      expect((await gateway.call('GET', '/healthz')).status).toBe(503)
      expectAnswer(await list(gateway), answers.unavailable)
      expectAnswer(await gateway.call('GET', '/', { host: 'docs.tunnels.test' }), answers.unavailable)
      expect([gateway.auth.check.asked, gateway.tunnels.heard, gateway.relay.heard]).toEqual([[], [], []])
    })
  }
})
