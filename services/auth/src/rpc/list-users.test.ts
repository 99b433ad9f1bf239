import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, scopeMissing } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())
const admin = await auth.registerAdmin()
const rest = auth.rest({ bearer: admin.token })

describe('ListUsers', () => {
  it('lists accounts, newest first, page by page', async () => {
    const people = [admin.id]
    for (let n = 0; n < 5; n++) people.push((await auth.register()).id)
    const seen: string[] = []
    let pageToken = ''
    do {
      const page = await rest.listUsers({ pageSize: 2, pageToken })
      seen.push(...page.users.map(({ id }) => id))
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    expect(seen).toEqual(people.reverse())
  })

  it('shows an account as its owner sees it, and nothing of its password', async () => {
    const { id, email } = await auth.register({ name: 'Ada' })
    const { users } = await rest.listUsers({ email })
    expect(users).toEqual([
      {
        id,
        email,
        name: 'Ada',
        username: email.split('@')[0],
        plan: 'free',
        role: 'user',
        status: 'active',
        createdAt: expect.any(Date),
      },
    ])
  })

  it('finds one by its e-mail in any case, whole only', async () => {
    const { id, email } = await auth.register()
    expect((await rest.listUsers({ email: email.toUpperCase() })).users.map((user) => user.id)).toEqual([id])
    for (const part of [email.slice(1), email.slice(0, -1), '%', "' or 1=1 --"])
      expect((await rest.listUsers({ email: part })).users).toEqual([])
  })

  it.each([
    [{ email: 'a\0b' }, { field: 'email', message: 'must be an e-mail address' }],
    [{ email: 'a'.repeat(255) }, { field: 'email', message: 'must be an e-mail address' }],
    [{ pageSize: -1 }, { field: 'page_size', message: 'must not be negative' }],
    [{ pageToken: 'x' }, { field: 'page_token', message: 'must be the next_page_token of the page before' }],
  ])('refuses %j', async (request, fault) => {
    expect(await refused(rest.listUsers(request))).toEqual(invalid(fault))
  })

  it('needs users:manage, which no ordinary account has, whatever its key was made with', async () => {
    const { id, token } = await auth.register()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['*'] })
    for (const bearer of [token, secret])
      await expect(auth.rest({ bearer }).listUsers()).rejects.toMatchObject({
        checked: scopeMissing('users:manage'),
      })
  })
})
