import { describe, expect, it } from 'vitest'
import { fail, gone, lost, refuseAll, wentBack } from './lease-ends.ts'
import { isDue, isOver, type LeaseTalk, newTalk, nextRequest, type Waiter } from './lease-talk.ts'

const answer = {
  ...{ granted: 0, validForMs: 0, code: 'USAGE_EXCEEDED' },
  ...{ remaining: 0, windowRemaining: undefined, retryAfterMs: undefined },
}

/** A talk in which uses are held, more is asked for, two calls wait, and somebody waits that all goes back. */
function open() {
  const talk: LeaseTalk = { ...newTalk('key_1'), left: 3, until: 10_000, wantsMore: true, answer }
  const heard: unknown[] = []
  const waiter: Waiter = {
    uses: true,
    signal: undefined,
    settle: (outcome) => heard.push(outcome),
    fail: (error) => heard.push(error),
  }
  talk.waiting.push(waiter, waiter)
  talk.request = nextRequest(talk, 1, 0)
  talk.back = Promise.withResolvers()
  return { talk, heard, back: talk.back.promise }
}

describe('who waits for a key', () => {
  it('hears once that nothing is left of it', () => {
    const { talk, heard } = open()
    refuseAll(talk, answer)
    refuseAll(talk, answer)
    expect(heard).toEqual([answer, answer])
  })

  it('hears that keys did not answer, which will be asked the same again', async () => {
    const { talk, heard, back } = open()
    const { request } = talk
    const error = new Error('away')
    fail(talk, error)
    expect(heard).toEqual([error, error])
    await expect(back).rejects.toBe(error)
    expect(talk).toMatchObject({ request, left: 3 })
    expect(isDue(talk)).toBe(false)
  })

  it('hears that there is no such key, of which nothing is held then', async () => {
    const { talk, heard, back } = open()
    gone(talk, 'gone')
    expect(heard).toEqual(['gone', 'gone'])
    expect(await back).toBe(talk)
    expect([isDue(talk), isOver(talk), talk.answer]).toEqual([false, true, undefined])
  })

  it('waits on where the lease was lost: the next request begins anew', () => {
    const { talk, heard } = open()
    lost(talk)
    expect(talk).toMatchObject({ left: 0, parked: 0, request: undefined })
    expect([heard, talk.waiting.length, isDue(talk)]).toEqual([[], 2, true])
  })

  it('waits on where all has gone back, and whoever waits for that does not', async () => {
    const { talk, heard, back } = open()
    wentBack(talk)
    expect(await back).toBe(talk)
    expect([heard, talk.waiting.length, talk.back]).toEqual([[], 2, undefined])
  })
})
