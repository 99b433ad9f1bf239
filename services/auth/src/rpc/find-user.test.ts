import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

describe('FindUser', () => {
  it('tells what an account may do now', async () => {
    const [person, admin] = [await auth.register(), await auth.registerAdmin()]
    expect(await auth.internal.findUser({ userId: person.id })).toEqual({ role: 'user' })
    expect(await auth.internal.findUser({ userId: admin.id })).toEqual({ role: 'admin' })
    await auth.sql`update users set role = 'admin' where id = ${person.id}`
    expect(await auth.internal.findUser({ userId: person.id })).toEqual({ role: 'admin' })
  })

  it.each(['', 'user_', 'user_01h00000000000000000000000', 'user_\0', 'key_01h00000000000000000000000'])(
    'does not find %j',
    async (userId) => {
      expect(await refused(auth.internal.findUser({ userId }))).toMatchObject({
        code: 'NOT_FOUND',
        reason: 'USER_NOT_FOUND',
        http: 404,
      })
    },
  )
})
