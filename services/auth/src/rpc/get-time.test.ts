import { afterAll, describe, expect, it } from 'vitest'
import { startAuth } from '../../test/start-auth.ts'

const off = () => new Date(Date.now() + 20_000)
const auth = await startAuth({}, { wallClock: off })
afterAll(() => auth.close())

const databaseTime = async () => {
  const [row] = await auth.sql<{ at: Date }[]>`select clock_timestamp() as at`
  return row?.at as Date
}

describe('GetTime', () => {
  it("tells the database's time, whatever the replica's own clock says", async () => {
    const before = await databaseTime()
    const { time } = await auth.internal.getTime({})
    const after = await databaseTime()
    expect(time?.getTime()).toBeGreaterThanOrEqual(before.getTime())
    expect(time?.getTime()).toBeLessThanOrEqual(after.getTime())
  })

  it('is how the replica decides, too: what it writes is of that time', async () => {
    const before = await databaseTime()
    const { id } = await auth.register()
    const [row] = await auth.sql<{ at: Date }[]>`select created_at as at from users where id = ${id}`
    expect(Math.abs((row?.at.getTime() ?? 0) - before.getTime())).toBeLessThan(10_000)
  })
})
