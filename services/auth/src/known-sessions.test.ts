import { afterAll, describe, expect, it } from 'vitest'
import { startAuth } from '../test/start-auth.ts'
import { createKnownSessions } from './known-sessions.ts'

const auth = await startAuth()
const { sql } = auth
afterAll(() => auth.close())

/** What is known of one session, by a clock that the test sets; it hears of no change. */
async function knowing() {
  const person = await auth.register()
  const [session] = await sql<{ id: string }[]>`select id from sessions where user_id = ${person.id}`
  const clock = { now: Date.now() }
  const { find } = createKnownSessions({ sql, isHeard: () => true, now: () => new Date(clock.now) })
  /** What is known once the session was looked up anew. */
  const renewed = async () => {
    clock.now += 30_000
    return find(session?.id ?? '')
  }
  return { person, renewed, clock }
}

describe('a session that is looked up anew', () => {
  it('stays the very same where it is as it was', async () => {
    const { renewed } = await knowing()
    expect(await renewed()).toBe(await renewed())
  })

  it.each([
    ['plan', { plan: 'pro' }],
    ['role', { role: 'admin' }],
  ])("has its user's %s as it is now", async (_, change) => {
    const { person, renewed } = await knowing()
    await renewed()
    await sql`update users set ${sql(change)} where id = ${person.id}`
    const later = await renewed()
    expect(later).toMatchObject({ holder: { user: change } })
    expect(later?.holder.scopes.has('admin:write')).toBe('role' in change)
  })

  it('is known, and with its end, by a clock by which it is over', async () => {
    const { renewed, clock } = await knowing()
    clock.now += 8 * 86_400_000
    const met = await renewed()
    expect(met?.holder.endsAt.getTime()).toBeLessThan(clock.now)
    clock.now = Date.now()
    expect(await renewed()).toBe(met)
  })

  it('ends when it does now', async () => {
    const { person, renewed } = await knowing()
    await renewed()
    const expiresAt = new Date(Date.now() + 3_600_000)
    await sql`update sessions set expires_at = ${expiresAt} where user_id = ${person.id}`
    expect(await renewed()).toMatchObject({ holder: { endsAt: expiresAt } })
    await sql`update sessions set ended_at = now() where user_id = ${person.id}`
    expect(await renewed()).toBeUndefined()
  })
})
