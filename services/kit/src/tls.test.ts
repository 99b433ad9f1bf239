import { readFileSync } from 'node:fs'
import {
  type ChannelCredentials,
  Client,
  credentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { ApiKeyServiceService } from '@instatunnel/proto/keys/v1/api_key_service'
import { makeAuthority } from '@instatunnel/test/certificates'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { deleted } from '../test/serve-keys.ts'
import { descriptorsFile } from './rules.ts'
import { serve } from './server.ts'
import { createTransport } from './tls.ts'

const [ca, otherCa] = await Promise.all([makeAuthority(), makeAuthority()])
afterAll(() => Promise.all([ca.remove(), otherCa.remove()]))

/** The settings of a service whose certificate has these names, signed by this authority. */
async function certificate(id: string, names: string, { by = ca, commonName = 'x' } = {}) {
  const { certFile, keyFile } = await by.sign(id, names, commonName)
  return {
    TLS_CERT_FILE: certFile,
    TLS_KEY_FILE: keyFile,
    TLS_CA_FILE: ca.caFile,
    services: ['auth', 'keys', 'tunnels'],
  }
}

const keysSettings = await certificate('keys', 'DNS:keys,DNS:localhost')

/** Calls a service with TLS as somebody, and tells whom the service took them for. */
async function calledAs(credentialsOfCaller: ChannelCredentials): Promise<readonly string[] | undefined> {
  const transport = createTransport(keysSettings)
  let certified: readonly string[] | undefined
  const implementation = Object.fromEntries(
    Object.keys(ApiKeyServiceService).map((name) => [
      name,
      (call: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<object>) => {
        certified = transport.certifiedOf(call)
        done(null, deleted)
      },
    ]),
  )
  const definition: ServiceDefinition = ApiKeyServiceService
  const serving = await serve({
    listen: '127.0.0.1:0',
    credentials: transport.server,
    services: [{ definition, implementation }],
    descriptors: descriptorsFile(),
  })
  const channel = new Client(`localhost:${serving.port}`, credentialsOfCaller)
  onTestFinished(async () => {
    channel.close()
    await serving.close()
  })
  await rpcsOf(channel, ApiKeyServiceService).deleteKey()
  return certified
}

describe('mutual TLS', () => {
  it.each([
    ['auth', 'DNS:auth', ['auth']],
    ['tunnels in its namespace', 'DNS:tunnels.instatunnel.svc.cluster.local', ['tunnels']],
    ['auth by its second name', 'DNS:envoy,DNS:auth', ['auth']],
    ['both of those that it names', 'DNS:keys,DNS:auth', ['auth', 'keys']],
    ['nobody, having no DNS name', 'IP:127.0.0.1', []],
    ['nobody, having no name but a common one', '', []],
    ['nobody, being no service', 'DNS:gateway', []],
    ['nobody, being called like one at its end', 'DNS:evil.auth', []],
    ['nobody, being called like one at its beginning', 'DNS:auth-evil.com', []],
    ['nobody, having the name in a URI', 'URI:DNS:auth', []],
    ['nobody, having the name in an e-mail', 'email:DNS:auth@x.com', []],
  ])('takes a caller for %s', async (_, names, services) => {
    const transport = createTransport(await certificate('caller', names, { commonName: 'auth' }))
    expect(await calledAs(transport.client)).toEqual(services)
  })

  it('refuses a caller without a certificate', async () => {
    const { TLS_CA_FILE } = keysSettings
    await expect(calledAs(credentials.createSsl(readFileSync(TLS_CA_FILE)))).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    })
  })

  it("refuses a caller whose certificate another CA has signed, in a service's name", async () => {
    const transport = createTransport(await certificate('forged', 'DNS:auth', { by: otherCa }))
    await expect(calledAs(transport.client)).rejects.toMatchObject({ code: status.UNAVAILABLE })
  })

  it('refuses a caller in clear', async () => {
    await expect(calledAs(credentials.createInsecure())).rejects.toMatchObject({ code: status.UNAVAILABLE })
  })

  it('calls no server that another CA vouches for', async () => {
    const settings = { ...(await certificate('caller', 'DNS:auth')), TLS_CA_FILE: otherCa.caFile }
    await expect(calledAs(createTransport(settings).client)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    })
  })
})

describe('createTransport', () => {
  const { services, ...files } = keysSettings

  it('speaks in clear where nothing is set, and then knows nobody by name', () => {
    expect(createTransport({ services }).certifiedOf({} as never)).toBeUndefined()
    const empty = { TLS_CERT_FILE: '', TLS_KEY_FILE: '', TLS_CA_FILE: '' }
    expect(createTransport({ ...empty, services }).certifiedOf({} as never)).toBeUndefined()
  })

  // Half of the settings must never mean "in clear".
  it.each(Object.keys(files) as (keyof typeof files)[])('does not start without %s alone', (name) => {
    expect(() => createTransport({ ...files, [name]: undefined, services })).toThrow(
      'Settings: TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE go together',
    )
  })

  it.each(Object.keys(files) as (keyof typeof files)[])('does not start with %s alone', (name) => {
    expect(() => createTransport({ [name]: files[name], services })).toThrow(
      'Settings: TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE go together',
    )
  })

  it.each(Object.keys(files) as (keyof typeof files)[])('does not start where %s is not there', (name) => {
    expect(() => createTransport({ ...files, [name]: 'none.pem', services })).toThrow('none.pem')
  })
})
