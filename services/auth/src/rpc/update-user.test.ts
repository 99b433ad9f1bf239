import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it } from 'vitest'
import { invalid, scopeMissing } from '../../test/refusals.ts'
import { startAuth } from '../../test/start-auth.ts'

const auth = await startAuth()
afterAll(() => auth.close())

const somebody = async () => {
  const person = await auth.register({ name: 'Before' })
  return { ...person, rest: auth.rest({ bearer: person.token }), first: person.email.split('@')[0] }
}

describe('UpdateUser', () => {
  it('changes what is present, and answers with the account', async () => {
    const { id, email, rest, first } = await somebody()
    expect(await rest.updateUser({ name: 'After' })).toEqual({
      id,
      email,
      name: 'After',
      username: first,
      plan: 'free',
      role: 'user',
      status: 'active',
      createdAt: expect.any(Date),
    })
    expect(await rest.updateUser({ username: 'ada_1' })).toMatchObject({ name: 'After', username: 'ada_1' })
    expect(await rest.updateUser({ name: '' })).toMatchObject({ name: '', username: 'ada_1' })
    expect(await rest.getUser()).toMatchObject({ name: '', username: 'ada_1' })
  })

  it('changes nothing where nothing is given', async () => {
    const { id, rest } = await somebody()
    const before = await auth.sql`select * from users where id = ${id}`
    expect(await rest.updateUser()).toMatchObject({ name: 'Before' })
    expect(await auth.sql`select * from users where id = ${id}`).toEqual(before)
  })

  it('sets exactly what update_mask names, and clears what is absent', async () => {
    const { rest, first } = await somebody()
    await rest.updateUser({ username: 'ada_1' })
    expect(await rest.updateUser({ name: 'X', username: 'ignored', updateMask: ['name'] })).toMatchObject({
      name: 'X',
      username: 'ada_1',
    })
    expect(await rest.updateUser({ updateMask: ['name', 'username'] })).toMatchObject({
      name: '',
      username: first,
    })
    expect(await rest.updateUser({ name: 'Y', updateMask: ['*'] })).toMatchObject({
      name: 'Y',
      username: first,
    })
  })

  const name = { field: 'name', message: 'must be at most 100 characters, none a control character' }
  const username = { field: 'username', message: "must be 1 to 39 of a-z, 0-9, '-', '_' and '.'" }
  it.each([
    [{ name: 'n'.repeat(101) }, [name]],
    [{ name: 'a\0b' }, [name]],
    [{ username: '' }, [username]],
    [{ username: 'Ada' }, [username]],
    [{ username: 'u'.repeat(40) }, [username]],
    [{ name: '\n', username: '\n' }, [name, username]],
    [
      { name: 'X', updateMask: ['name', 'plan'] },
      [{ field: 'update_mask', message: '"plan" cannot be updated; name some of name, username' }],
    ],
    [
      { updateMask: ['passwordHash'] },
      [{ field: 'update_mask', message: '"password_hash" cannot be updated; name some of name, username' }],
    ],
  ])('refuses %j and changes nothing', async (fields, faults) => {
    const { rest, first } = await somebody()
    expect(await refused(rest.updateUser(fields))).toEqual(invalid(...faults))
    expect(await rest.getUser()).toMatchObject({ name: 'Before', username: first })
  })

  it('survives a mask whose name is cut in the middle of a character', async () => {
    const { rest } = await somebody()
    const answer = await refused(rest.updateUser({ updateMask: [`${'x'.repeat(59)}🦦`] }))
    expect(answer).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' })
    expect(await rest.getUser()).toMatchObject({ name: 'Before' })
  })

  it('needs account:write', async () => {
    const { id } = await somebody()
    const { secret } = auth.neighbours.addKey({ userId: id, permissions: ['account:read'] })
    await expect(auth.rest({ bearer: secret }).updateUser({ name: 'X' })).rejects.toMatchObject({
      checked: scopeMissing('account:write'),
    })
  })
})
