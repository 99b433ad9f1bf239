import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Nats, startNats } from './nats.ts'
import { inboxOf, type NatsUser, natsUsers, talk } from './nats-users.ts'
import { repository } from './repository.ts'
import { serviceNames } from './service-names.ts'

/** Every event of the contract: its comments name the subject of each. */
const contract = readFileSync(join(repository, 'proto/instatunnel/events/v1/events.proto'), 'utf8')
const types = [
  ...new Set([...contract.matchAll(/instatunnel\.events\.([a-z_]+\.[a-z_]+)/g)].map(([, type = '']) => type)),
]
const streamOf = (type: string) => (type.startsWith('usage.') ? 'INSTATUNNEL_USAGE' : 'INSTATUNNEL')
const subjectOf = (type: string) => `instatunnel.events.${type}`
const durables = serviceNames.flatMap((service) => talk[service].durables.map((one) => ({ ...one, service })))

let dataDir: string
let nats: Nats
const connections = new Map<NatsUser, NatsConnection>()
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'instatunnel-nats-permissions-'))
  nats = await startNats({ dataDir, port: 0 })
  for (const user of natsUsers) {
    const authenticator = nkeyAuthenticator(new TextEncoder().encode(nats.seeds[user]))
    const connection = await connect({ servers: nats.url, authenticator, inboxPrefix: inboxOf(user) })
    connections.set(user, connection)
    void keepRefusals(connection)
  }
  const { streams } = await jetstreamManager(as('auth'), { checkAPI: false })
  const nouns = ['user', 'session', 'key', 'tunnel'].map((noun) => subjectOf(`${noun}.>`))
  await streams.add({ name: 'INSTATUNNEL', subjects: nouns })
  await streams.add({ name: 'INSTATUNNEL_USAGE', subjects: [subjectOf('usage.>')] })
})
afterAll(async () => {
  await Promise.all([...connections.values()].map((connection) => connection.close()))
  await nats.stop()
  await rm(dataDir, { recursive: true, force: true })
})

/** What NATS has refused since a test asked last. */
const refusals: string[] = []
async function keepRefusals(connection: NatsConnection): Promise<void> {
  for await (const status of connection.status())
    if (status.type === 'error') refusals.push(status.error.message)
}

const as = (user: NatsUser) => connections.get(user) as NatsConnection

/** What NATS answers a user who asks this: "no" where he may not ask, the error where it is one. */
async function answer(user: NatsUser, subject: string, body: object = {}): Promise<string> {
  try {
    const { error } = (await as(user).request(subject, JSON.stringify(body), { timeout: 5000 })).json<{
      error?: { description: string }
    }>()
    return error?.description ?? 'done'
  } catch (error) {
    if (/Permissions Violation/.test(String(error))) return 'no'
    throw error
  }
}

/** Whether NATS lets a user publish here, or subscribe. It says "no" before it answers what comes after. */
async function may(user: NatsUser, what: 'publish' | 'subscribe', subject: string): Promise<boolean> {
  const connection = as(user)
  refusals.length = 0
  if (what === 'publish') connection.publish(subject, '{}')
  else connection.subscribe(subject, { callback: () => {} }).unsubscribe(1)
  await connection.flush()
  await new Promise(setImmediate)
  return !refusals.some((refusal) => refusal.includes(`"${subject}"`))
}

/** A way to have a stream tell events of a type, by a consumer of that name, for one who may hear others of them. */
type Way = (type: string, name: string, own: string) => { path: string; config: object }

const wildcardOf = (type: string) => subjectOf(type.replace(/\..*/, '.>'))
const IN_ORDER: Way = (type, name) => ({
  path: `.${name}.${subjectOf(type)}`,
  config: { filter_subject: subjectOf(type) },
})
const TRICKS: Readonly<Record<string, Way>> = {
  'by its config': (type, name) => ({ path: `.${name}`, config: { filter_subject: subjectOf(type) } }),
  'by a list': (type, name) => ({ path: `.${name}`, config: { filter_subjects: [subjectOf(type)] } }),
  'by all there is': (_, name) => ({ path: `.${name}`, config: {} }),
  'by a wildcard': (type, name) => ({
    path: `.${name}.${wildcardOf(type)}`,
    config: { filter_subject: wildcardOf(type) },
  }),
  'without a name': (type) => ({ path: '', config: { filter_subject: subjectOf(type) } }),
}
const TRICKS_BESIDE_ITS_OWN: Readonly<Record<string, Way>> = {
  'by another config': (type, name, own) => ({
    path: `.${name}.${subjectOf(own)}`,
    config: { filter_subject: subjectOf(type) },
  }),
  'by a list instead': (type, name, own) => ({
    path: `.${name}.${subjectOf(own)}`,
    config: { filter_subjects: [subjectOf(type)] },
  }),
  'by a list beside it': (type, name, own) => ({
    path: `.${name}.${subjectOf(own)}`,
    config: { filter_subject: subjectOf(own), filter_subjects: [subjectOf(type)] },
  }),
  'by no filter': (_, name, own) => ({ path: `.${name}.${subjectOf(own)}`, config: {} }),
}

/** What NATS answers a user who has a stream tell it events. */
async function making(
  user: NatsUser,
  way: Way,
  type: string,
  { name, own = type }: { name: string; own?: string },
) {
  const stream = streamOf(type)
  const { path, config } = way(type, name, own)
  const asked = { stream_name: stream, config: { durable_name: name, ack_policy: 'explicit', ...config } }
  return answer(user, `$JS.API.CONSUMER.CREATE.${stream}${path}`, asked)
}

describe('a service', () => {
  it.each(serviceNames)('%s hears the events that it acts on, and no other', async (user) => {
    const { hears, durables: own } = talk[user]
    // By which consumer: a durable one has a name, a replica's own any.
    const heard = new Map([
      ...hears.map((type) => [type, 'x']),
      ...own.map(({ type, name }) => [type, name]),
    ] as [string, string][])
    expect(types).toEqual(expect.arrayContaining([...heard.keys()]))
    for (const type of types) {
      const stream = streamOf(type)
      const legacy = { stream_name: stream, config: { durable_name: 'x', filter_subject: subjectOf(type) } }
      expect(await answer(user, `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.x`, legacy)).toBe('no')
      expect(await answer(user, `$JS.API.STREAM.MSG.GET.${stream}`, { last_by_subj: subjectOf(type) })).toBe(
        'no',
      )
      expect(await answer(user, `$JS.API.DIRECT.GET.${stream}.${subjectOf(type)}`)).toBe('no')
      for (const name of new Set(['x', ...heard.values()])) {
        const isHeard = heard.get(type) === name
        expect(await making(user, IN_ORDER, type, { name }), `${type} by ${name}`).toBe(
          isHeard ? 'done' : 'no',
        )
        for (const [trick, way] of Object.entries(TRICKS))
          expect(await making(user, way, type, { name }), `${type} ${trick}`).toBe('no')
        for (const [other, otherName] of heard) {
          if (other === type || streamOf(other) !== stream || otherName !== name) continue
          for (const [trick, way] of Object.entries(TRICKS_BESIDE_ITS_OWN))
            expect(await making(user, way, type, { name, own: other }), `${type} ${trick}`).not.toBe('done')
        }
      }
      await answer('observer', `$JS.API.CONSUMER.DELETE.${stream}.x`)
    }
  })

  it('hears no event as it is told: streams tell it', async () => {
    for (const user of serviceNames)
      for (const subject of [
        'instatunnel.events.user.logged_in',
        'instatunnel.events.>',
        'instatunnel.>',
        '>',
      ])
        expect(await may(user, 'subscribe', subject), `${user} ${subject}`).toBe(false)
    expect(await may('observer', 'subscribe', 'instatunnel.events.>')).toBe(true)
  })

  it('tells its own events, and no other', async () => {
    const told = { user: ['auth'], session: ['auth'], key: ['keys'], tunnel: ['tunnels', 'relay'] } as const
    for (const type of types) {
      const tellers: string[] = []
      for (const user of natsUsers) if (await may(user, 'publish', subjectOf(type))) tellers.push(user)
      expect(tellers, type).toHaveLength(1)
      const noun = type.split('.')[0] as keyof typeof told
      if (noun in told) expect(told[noun]).toContain(tellers[0])
    }
  })

  it('says and hears what it has to do with, of what services say to one another', async () => {
    const all = [...new Set(serviceNames.flatMap((name) => [...talk[name].says, ...talk[name].listens]))]
    for (const what of all)
      for (const user of natsUsers) {
        const subject = `instatunnel.${what.replace('*', 'auth_1')}`
        const { says = [], listens = [] } = user === 'observer' ? {} : talk[user]
        expect(await may(user, 'publish', subject), `${user} says ${what}`).toBe(says.includes(what))
        expect(await may(user, 'subscribe', subject), `${user} hears ${what}`).toBe(listens.includes(what))
      }
  })
})

describe('any user', () => {
  it('hears the answers to itself, and to nobody else', async () => {
    for (const user of natsUsers) {
      for (const other of natsUsers)
        expect(await may(user, 'subscribe', `${inboxOf(other)}.x`), `${user} ${other}`).toBe(user === other)
      for (const subject of ['_INBOX.>', '_INBOX.*.>', '_INBOX.x', '>', '*.*.x'])
        expect(await may(user, 'subscribe', subject), `${user} ${subject}`).toBe(false)
    }
  })

  it('takes nothing from a consumer of another’s, changes none and ends none', async () => {
    for (const { service, name, stream, type } of durables) {
      const config = { durable_name: name, filter_subject: subjectOf(type), ack_policy: 'explicit' }
      const make = `$JS.API.CONSUMER.CREATE.${stream}.${name}.${subjectOf(type)}`
      expect(await answer(service, make, { stream_name: stream, config })).toBe('done')
      for (const user of natsUsers) {
        if (user === service) continue
        for (const subject of [
          make,
          `$JS.API.CONSUMER.CREATE.${stream}.${name}`,
          `$JS.API.CONSUMER.CREATE.${stream}.${name}.${subjectOf('key.updated')}`,
          `$JS.API.CONSUMER.CREATE.${stream}.${name}.${subjectOf('user.updated')}`,
          `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${name}`,
          `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
          `$JS.API.CONSUMER.DELETE.${stream}.${name}`,
        ])
          expect(await answer(user, subject, { stream_name: stream, config }), `${user} ${subject}`).toBe(
            'no',
          )
        expect(await may(user, 'publish', `$JS.ACK.${stream}.${name}.1.1.1.1.0`), user).toBe(false)
      }
    }
  })

  it('but the observer learns no name of a consumer that is not its own', async () => {
    for (const user of serviceNames)
      for (const what of ['NAMES', 'LIST'])
        expect(await answer(user, `$JS.API.CONSUMER.${what}.INSTATUNNEL`)).toBe('no')
  })
})
