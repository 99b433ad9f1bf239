import { refused } from '@instatunnel/test/refused'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { newEmail, newPassword, startAuth } from '../test/start-auth.ts'

const LIMIT = 5
const auth = await startAuth({ LIMIT_AUTH_PER_MINUTE: String(LIMIT) })
afterAll(() => auth.close())

const NAMED = '8.8.4.4'
const spoofed = { 'x-instatunnel-client-address': NAMED, 'x-forwarded-for': NAMED }

describe('a login past the gateway', () => {
  it('is counted by the address of who is connected, whatever address it names', async () => {
    const one = await startAuth({ LIMIT_AUTH_PER_MINUTE: String(LIMIT) })
    onTestFinished(() => one.close())
    const person = await one.register()
    const answer = await one.callWith(spoofed).login({ email: person.email, password: person.password })
    expect(answer.user?.id).toBe(person.id)
    const [session] = await one.sql`
      select address from sessions where user_id = ${person.id} order by created_at desc, id desc limit 1`
    expect(session?.address).toBe('127.0.0.1')

    const answers: string[] = []
    for (const i of Array.from({ length: LIMIT + 3 }, (_, i) => i)) {
      const metadata = { 'x-instatunnel-client-address': `8.8.4.${i}` }
      const login = one.callWith(metadata).login({ email: newEmail(), password: newPassword() })
      answers.push((await refused(login)).reason)
    }
    expect(answers).toEqual([
      ...Array<string>(LIMIT).fill('LOGIN_FAILED'),
      ...Array<string>(3).fill('RATE_LIMITED'),
    ])
    const register = one.callWith(spoofed).register({ email: newEmail(), password: newPassword() })
    expect((await refused(register)).reason).toBe('RATE_LIMITED')
  })

  it('finds no lane of a network that it only names', async () => {
    const home = { address: NAMED }
    const person = { email: newEmail(), password: newPassword() }
    await auth.rest(home).register(person)
    // Strangers have used up what comes at once.
    for (const i of Array.from({ length: 3 * LIMIT }, (_, i) => i))
      await refused(auth.rest({ address: `198.51.100.${i}` }).login({ ...person, password: 'wrong' }))
    expect((await refused(auth.callWith(spoofed).login(person))).reason).toBe('RATE_LIMITED')
    expect((await auth.rest(home).login(person)).user?.email).toBe(person.email)
  })

  it("takes Check's word for the address for the rpc that it was given for alone", async () => {
    const checked = await auth.check('/instatunnel.auth.v1.AuthService/Login', { address: NAMED })
    const person = { email: newEmail(), password: newPassword() }
    const { user } = await auth.callWith(checked.headers).register(person)
    const [session] = await auth.sql`select address from sessions where user_id = ${user?.id as string}`
    expect(session?.address).toBe('127.0.0.1')
  })
})
