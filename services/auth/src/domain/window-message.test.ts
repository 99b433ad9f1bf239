import { describe, expect, it } from 'vitest'
import {
  isAskable,
  MAX_ASKS,
  readWindowMessage,
  type WindowMessage,
  writeWindowMessage,
} from './window-message.ts'

const ASK: WindowMessage = {
  kind: 'ask',
  from: 'auth_a',
  id: 7,
  asks: [
    { verb: 'take', subject: 'read:user_1', limit: 100 },
    { verb: 'look', subject: 'invalid:2001:db8::/64', limit: 0 },
  ],
  returns: [{ subject: 'write:user_1', at: 1_790_000_000_000 }],
}
const ANSWER: WindowMessage = {
  kind: 'answer',
  from: 'auth_b',
  id: 7,
  at: 1_790_000_000_000,
  answers: [{ admitted: false, limit: 100, remaining: 0, resetSeconds: 12 }],
}
const changed = (message: WindowMessage, fields: object) =>
  JSON.stringify({ ...JSON.parse(writeWindowMessage(message)), ...fields })
const row = (...values: unknown[]) => [values]

describe('a message about windows', () => {
  it.each([ASK, ANSWER])('is read as it was written: $kind', (message) => {
    expect(readWindowMessage(writeWindowMessage(message))).toEqual(message)
  })

  it('stays under the MiB that NATS carries, also where every subject is the longest', () => {
    const asks = Array.from({ length: MAX_ASKS }, () => ({
      verb: 'take' as const,
      subject: '\u0000'.repeat(400),
      limit: Number.MAX_SAFE_INTEGER,
    }))
    const returns = asks.map(({ subject }) => ({ subject, at: Number.MAX_SAFE_INTEGER }))
    const text = writeWindowMessage({ ...ASK, kind: 'ask', asks, returns })
    expect(text.length).toBeLessThan(1024 * 1024)
    expect(readWindowMessage(text)).toMatchObject({ kind: 'ask' })
  })

  it.each([
    ['', 'nothing'],
    ['{', 'half a message'],
    ['null', 'null'],
    ['7', 'a number'],
    ['[]', 'a list'],
    ['{}', 'an empty object'],
    ['{"replica":"auth_a"}', 'something else that replicas say'],
    [changed(ASK, { from: undefined }), 'no sender'],
    [changed(ASK, { from: 'auth.a' }), 'a sender that is two tokens of a subject'],
    [changed(ASK, { from: '>' }), 'a sender that is a wildcard'],
    [changed(ASK, { from: 'a\r\nPUB x 0' }), 'a sender that is a command'],
    [changed(ASK, { id: '7' }), 'an id that is a text'],
    [changed(ASK, { id: 1.5 }), 'half an id'],
    [changed(ASK, { asks: undefined }), 'no asks'],
    [changed(ASK, { asks: {} }), 'asks that are no list'],
    [changed(ASK, { asks: [null] }), 'an ask that is null'],
    [changed(ASK, { asks: row('give', 'read:user_1', 1) }), 'a verb that there is not'],
    [changed(ASK, { asks: row('take', '', 1) }), 'a subject that is empty'],
    [changed(ASK, { asks: row('take', 'x'.repeat(401), 1) }), 'a subject that is too long'],
    [changed(ASK, { asks: row('take', 7, 1) }), 'a subject that is a number'],
    [changed(ASK, { asks: row('take', 'read:user_1', -1) }), 'a limit below 0'],
    [changed(ASK, { asks: row('take', 'read:user_1', 2 ** 60) }), 'a limit past 2^53'],
    [changed(ASK, { asks: row('take', 'read:user_1') }), 'no limit'],
    [changed(ASK, { asks: Array(MAX_ASKS + 1).fill(['take', 'read:user_1', 1]) }), 'too many asks'],
    [changed(ASK, { returns: undefined }), 'no list of returns'],
    [changed(ASK, { returns: row('read:user_1', null) }), 'a return of no time'],
    [changed(ASK, { returns: Array(MAX_ASKS + 1).fill(['read:user_1', 1]) }), 'too many returns'],
    [changed(ANSWER, { at: undefined }), 'an answer of no time'],
    [changed(ANSWER, { answers: row('true', 1, 1, 1) }), 'an answer that is a text'],
    [changed(ANSWER, { answers: row(true, 1, -1, 1) }), 'less than nothing left'],
    [changed(ANSWER, { answers: row(true, 1, 1) }), 'an answer without its end'],
  ])('is none where it is %j: %s', (text) => {
    expect(readWindowMessage(text)).toBeUndefined()
  })

  it('is not made of what could not be read: an endless subject, a limit that is no whole number', () => {
    const ask = { verb: 'take', subject: 'read:user_1', limit: 100 } as const
    expect(isAskable(ask)).toBe(true)
    for (const fault of [{ subject: '' }, { subject: 'x'.repeat(401) }, { limit: 0.5 }, { limit: -1 }]) {
      expect(isAskable({ ...ask, ...fault }), JSON.stringify(fault)).toBe(false)
      expect(
        readWindowMessage(
          writeWindowMessage({ ...ASK, kind: 'ask', asks: [{ ...ask, ...fault }] } as WindowMessage),
        ),
      ).toBeUndefined()
    }
  })
})
