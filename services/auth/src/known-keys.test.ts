import { Client, credentials } from '@grpc/grpc-js'
import {
  KeyDirectoryServiceService,
  type LookUpKeysResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { afterAll, describe, expect, it } from 'vitest'
import { startAuth } from '../test/start-auth.ts'
import { createKnownKeys, keyIdOfSecret } from './known-keys.ts'

const auth = await startAuth()
const { neighbours, sql } = auth
const channel = new Client(neighbours.keysAddress, credentials.createInsecure())
const { lookUpKeys } = rpcsOf(channel, KeyDirectoryServiceService)
afterAll(async () => {
  channel.close()
  await auth.close()
})

/** What is known of one key, by a clock that the test sets; it hears of no change but those that the test tells. */
async function knowing(fields: { sessionId?: string } = {}) {
  const person = await auth.register()
  const { key, secret } = neighbours.addKey({ userId: person.id, ...fields })
  const clock = { now: Date.now() }
  const answers: LookUpKeysResponse[] = []
  const known = createKnownKeys({
    sql,
    keys: {
      async lookUpKeys(request) {
        const answer = await lookUpKeys(request)
        answers.push(answer)
        return answer
      },
    },
    isHeard: () => true,
    now: () => new Date(clock.now),
  })
  const find = () => known.find(keyIdOfSecret(secret))
  /** What is known once the key was looked up anew. */
  const renewed = async () => {
    clock.now += 30_000
    return find()
  }
  return { ...known, find, renewed, person, key, answers, clock }
}

it('a key of a session is known by a clock by which that is over, and with its end', async () => {
  const person = await auth.register()
  const [session] = await sql<{ id: string }[]>`select id from sessions where user_id = ${person.id}`
  const { renewed, clock } = await knowing({ sessionId: session?.id as string })
  clock.now += 8 * 86_400_000
  const met = await renewed()
  expect(met?.owner.expiresAt?.getTime()).toBeLessThan(clock.now)
})

describe('a key that is looked up anew', () => {
  it('is not told anew where it is as it was, and stays the very same', async () => {
    const { find, renewed, answers } = await knowing()
    const first = await find()
    expect(await renewed()).toBe(first)
    expect(await renewed()).toBe(first)
    expect(answers).toMatchObject([
      { found: [{ index: 0 }], unchanged: [] },
      { found: [], unchanged: [0] },
      { found: [], unchanged: [0] },
    ])
  })

  it('is renewed so while it is in use, and nobody waits for that', async () => {
    const { find, answers, clock } = await knowing()
    const first = await find()
    clock.now += 25_000
    expect(find()).toBe(first)
    await expect.poll(() => answers.length).toBe(2)
    await expect.poll(() => answers[1]).toMatchObject({ found: [], unchanged: [0] })
    clock.now += 29_999
    expect(find()).toBe(first)
  })

  it('is as it is now where anything is otherwise', async () => {
    const { find, renewed, key } = await knowing()
    expect(await find()).toMatchObject({ record: { enabled: true } })
    key.enabled = false
    expect(await renewed()).toMatchObject({ record: { enabled: false } })
    key.permissions = ['logs:read']
    expect(await renewed()).toMatchObject({ scopes: new Set(['logs:read']), record: { enabled: false } })
  })

  it('is unknown once it is revoked', async () => {
    const { find, renewed, key } = await knowing()
    expect(await find()).toBeDefined()
    neighbours.revokeKey(key.id)
    expect(await renewed()).toBeUndefined()
  })

  it.each([
    ['plan', { plan: 'pro' }],
    ['role', { role: 'admin' }],
  ])("has its owner's %s as it is now, though nothing of itself is otherwise", async (_, change) => {
    const { find, renewed, person, answers } = await knowing()
    expect(await find()).toMatchObject({ owner: { plan: 'free', role: 'user' } })
    await sql`update users set ${sql(change)} where id = ${person.id}`
    const later = await renewed()
    expect(later).toMatchObject({ owner: change, holder: { user: change } })
    expect(later?.scopes.has('admin:write')).toBe('role' in change)
    expect(answers[1]).toMatchObject({ found: [], unchanged: [0] })
    expect(await renewed()).toBe(later)
  })

  it('ends when its session does, as that is now', async () => {
    const { id } = await auth.register()
    const [session] = await sql<{ id: string }[]>`select id from sessions where user_id = ${id}`
    const { find, renewed } = await knowing({ sessionId: session?.id ?? '' })
    await find()
    const expiresAt = new Date(Date.now() + 3_600_000)
    await sql`update sessions set expires_at = ${expiresAt} where user_id = ${id}`
    expect(await renewed()).toMatchObject({ holder: { endsAt: expiresAt, endsAs: 'session_expired' } })
  })

  it('is unknown once its session has ended, though nothing of itself is otherwise', async () => {
    const { id } = await auth.register()
    const [session] = await sql<{ id: string }[]>`select id from sessions where user_id = ${id}`
    const { find, renewed, answers } = await knowing({ sessionId: session?.id ?? '' })
    expect(await find()).toMatchObject({ owner: { userId: id } })
    await sql`update sessions set ended_at = now() where user_id = ${id}`
    expect(await renewed()).toBeUndefined()
    expect(answers[1]).toMatchObject({ found: [], unchanged: [0] })
  })

  it('is asked for as if nothing was known where it was evicted meanwhile', async () => {
    const { find, evict, key, answers, clock } = await knowing()
    await find()
    const held = Promise.withResolvers<void>()
    neighbours.held = held.promise
    clock.now += 30_000
    const before = neighbours.lookUps()
    const later = find()
    await expect.poll(() => neighbours.lookUps()).toBe(before + 1)
    evict(key.id)
    neighbours.held = undefined
    held.resolve()
    expect(await later).toMatchObject({ record: { id: key.id } })
    expect(answers.map(({ found, unchanged }) => [found.length, unchanged.length])).toEqual([
      [1, 0],
      [0, 1],
      [1, 0],
    ])
  })

  it('is told whole by keys that know of no revisions', async () => {
    const { key } = neighbours.addKey({ userId: (await auth.register()).id })
    const revisions: string[] = []
    const clock = { now: Date.now() }
    const known = createKnownKeys({
      sql,
      keys: {
        async lookUpKeys(request) {
          revisions.push(...request.revisions.map(String))
          return { found: [{ index: 0, key, revision: Buffer.alloc(0) }], unchanged: [] }
        },
      },
      isHeard: () => true,
      now: () => new Date(clock.now),
    })
    expect(await known.find('a')).toMatchObject({ record: { id: key.id } })
    clock.now += 30_000
    expect(await known.find('a')).toMatchObject({ record: { id: key.id } })
    expect(revisions).toEqual(['', ''])
  })
})
