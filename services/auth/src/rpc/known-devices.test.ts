import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import type { RestCall } from '../../test/check.ts'
import { newEmail, newPassword, startAuth } from '../../test/start-auth.ts'

// Time stands still: no attempt is forgotten, and no delay ends.
const time = new Date()
const LANE = 6
const auth = await startAuth({ LIMIT_AUTH_PER_MINUTE: `${LANE / 3}` }, { now: () => time })
afterAll(() => auth.close())

interface Owner {
  readonly email: string
  readonly password: string
}

let networks = 0
const newNetwork = () => `2001:db8:${(++networks).toString(16)}:1::1`

/** Calls from a network that none came from before, unless the test names one; gives the cookie of the device. */
async function signIn(verb: 'register' | 'login', owner: Owner, cookie?: string, from: RestCall = {}) {
  let cookies: unknown[] = []
  const { email, password } = owner
  const onHeaders = (headers: { get(name: string): unknown[] }) => {
    cookies = headers.get('set-cookie')
  }
  const rest = auth.rest({ address: newNetwork(), ...(cookie !== undefined && { cookie }), ...from })
  const answer = await rest[verb]({ email, password, name: '' }, { onHeaders })
  const set = String(cookies.find((each) => String(each).includes('_device=')))
  return { set, cookie: set.split(';')[0] ?? '', token: answer.token, id: answer.user?.id as string }
}
const register = async (cookie?: string) => {
  const owner = { email: newEmail(), password: newPassword() }
  return { owner, ...(await signIn('register', owner, cookie)) }
}
type Registered = Awaited<ReturnType<typeof register>>
const tokensIn = (cookie: string) => cookie.replace('instatunnel_device=', '').split('.')

/** Tries a password from ever new networks until the answer is to wait; gives how often it was compared. */
async function guess(email: string, cookie?: string): Promise<number> {
  for (let tried = 0; ; tried++) {
    const call = { address: newNetwork(), ...(cookie !== undefined && { cookie }) }
    const { reason } = await refused(auth.rest(call).login({ email, password: 'wrong' }))
    if (reason === 'RATE_LIMITED') return tried
    expect(reason).toBe('LOGIN_FAILED')
  }
}

describe('a device that an account was logged in from', () => {
  it('is known by a cookie that lasts, and that no script and no other site has', async () => {
    const { owner, set, cookie, id } = await register()
    expect(set).toMatch(
      /^instatunnel_device=itd_[0-9A-Za-z]{32}; Max-Age=7776000; Path=\/v1\/auth; HttpOnly; SameSite=Strict; Secure$/,
    )
    // Logging in keeps the token, and gives a browser without one a new one.
    expect((await signIn('login', owner, cookie)).set).toBe(set)
    expect((await signIn('login', owner)).cookie).not.toBe(cookie)
    const rows = await auth.sql`select device from known_devices where user_id = ${id}`
    expect(rows).toHaveLength(2)
    for (const { device } of rows) expect(device).toHaveLength(32)
  })

  it('keeps its place from networks never seen, whatever strangers try', async () => {
    const { owner, cookie } = await register()
    expect(await guess(owner.email)).toBe(LANE)
    for (let n = 0; n < 8; n++) expect((await signIn('login', owner, cookie)).cookie).toBe(cookie)
    expect(await guess(owner.email)).toBe(0)
  })

  it('keeps its place after logging out and after a change of the password', async () => {
    const { owner, cookie, token } = await register()
    const password = newPassword()
    await auth
      .rest({ bearer: token })
      .changePassword({ currentPassword: owner.password, newPassword: password })
    await auth.rest({ bearer: token, cookie }).logout({})
    await guess(owner.email)
    expect((await signIn('login', { ...owner, password }, cookie)).cookie).toBe(cookie)
  })

  it('has no place at another account, nor has one that nobody gave out', async () => {
    const [mine, theirs] = [await register(), await register()]
    const forged = `instatunnel_device=itd_${'0'.repeat(32)}`
    for (const cookie of [
      theirs.cookie,
      forged,
      `${forged}.${tokensIn(theirs.cookie)[0]}`,
      'instatunnel_device=',
    ])
      await refused(auth.rest({ address: newNetwork(), cookie }).login({ ...mine.owner, password: 'wrong' }))
    // Strangers have tried it four times.
    expect(await guess(mine.owner.email, theirs.cookie)).toBe(LANE - 4)
    expect(await guess(mine.owner.email, forged)).toBe(0)
    expect((await refused(signIn('login', mine.owner, theirs.cookie))).reason).toBe('RATE_LIMITED')
    expect((await signIn('login', mine.owner, mine.cookie)).id).toBe(mine.id)
  })

  it('has so many wrong passwords and no more: then it is a stranger, and no other device waits for it', async () => {
    const { owner, cookie: stolen } = await register()
    const { cookie: another } = await signIn('login', owner)
    expect(await guess(owner.email, stolen)).toBe(2 * LANE)
    expect((await refused(signIn('login', owner, stolen))).reason).toBe('RATE_LIMITED')
    expect((await signIn('login', owner, another)).cookie).toBe(another)
  })

  it('gets another token where somebody has used up the attempts of its own', async () => {
    const owner = { email: newEmail(), password: newPassword() }
    const home = newNetwork()
    const { cookie: stolen } = await signIn('register', owner, undefined, { address: home })
    await guess(owner.email, stolen)
    const { cookie: renewed } = await signIn('login', owner, stolen, { address: home })
    expect(tokensIn(renewed)).toHaveLength(1)
    expect(renewed).not.toBe(stolen)
    expect((await signIn('login', owner, renewed)).cookie).toBe(renewed)
  })

  it('is known to several accounts, each by a token of its own, the last four of a browser', async () => {
    const owners: Owner[] = []
    let cookie: string | undefined
    for (let n = 0; n < 5; n++) {
      const made = await register(cookie)
      owners.push(made.owner)
      cookie = made.cookie
    }
    expect(new Set(tokensIn(cookie ?? '')).size).toBe(4)
    for (const { email } of owners) await guess(email)
    const [first, ...others] = owners as [Owner, ...Owner[]]
    for (const owner of others) cookie = (await signIn('login', owner, cookie)).cookie
    expect((await refused(signIn('login', first, cookie))).reason).toBe('RATE_LIMITED')
  })

  it('is known for 90 days, the last twenty of those that did not come back', async () => {
    const { owner, id, cookie } = await register()
    for (let n = 0; n < 22; n++) await signIn('login', owner)
    expect(await auth.sql`select from known_devices where user_id = ${id}`).toHaveLength(20)
    const { cookie: last } = await signIn('login', owner)
    await auth.sql`update known_devices set last_login_at = now() - interval '91 days' where user_id = ${id}`
    for (const old of [cookie, last]) expect(await guess(owner.email, old)).toBeLessThanOrEqual(LANE)
    expect((await refused(signIn('login', owner, last))).reason).toBe('RATE_LIMITED')
  })

  it.each([
    ['that came back', async ({ owner, cookie }: Registered) => signIn('login', owner, cookie)],
    [
      'of a browser',
      ({ owner }: Registered) => signIn('login', owner, undefined, { fetchSite: 'same-origin' }),
    ],
    [
      'of a browser that tells no more than Origin',
      ({ owner }: Registered) => signIn('login', owner, undefined, { origin: 'http://localhost:8080' }),
    ],
    [
      'that got another token',
      async ({ owner, cookie }: Registered) => {
        for (let n = 0; n < LANE; n++) await refused(signIn('login', { ...owner, password: 'wrong' }, cookie))
        return signIn('login', owner, cookie)
      },
    ],
  ])('%s is pushed out by no program that logs in without cookies', async (_, kept) => {
    const made = await register()
    const { cookie } = await kept(made)
    for (let n = 0; n < 21; n++) await signIn('login', made.owner)
    await guess(made.owner.email)
    expect((await signIn('login', made.owner, cookie)).cookie).toBe(cookie)
    const rows = await auth.sql`select from known_devices where user_id = ${made.id} and kind = 'program'`
    expect(rows).toHaveLength(20)
  })

  it('is found behind other cookies of the name, which it does not take in', async () => {
    const { owner, cookie } = await register()
    const { cookie: both } = await register(cookie)
    const junk = (from: number, count: number) =>
      `instatunnel_device=${Array.from({ length: count }, (_, n) => `itd_${`${from + n}`.padStart(32, '0')}`).join('.')}`
    await guess(owner.email)
    const before = [junk(0, 4), junk(0, 4), junk(4, 4), junk(8, 4), junk(12, 2), junk(3, 2)]
    const found = await signIn('login', owner, [...before, both, junk(90, 1)].join('; '))
    expect(tokensIn(found.cookie)).toEqual(tokensIn(both).reverse())
    // More than sixteen tokens are not tried.
    const more = [...before.slice(0, 4), junk(12, 4), both].join('; ')
    expect((await refused(signIn('login', owner, more))).reason).toBe('RATE_LIMITED')
  })

  it('is no device where another site has a browser log in', async () => {
    const { owner, cookie } = await register()
    await guess(owner.email)
    const crossSite = auth.rest({ address: newNetwork(), cookie, fetchSite: 'cross-site' })
    expect((await refused(crossSite.login(owner))).reason).toBe('RATE_LIMITED')
  })
})
