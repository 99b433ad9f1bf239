import { describe, expect, it } from 'vitest'
import { countLostMessages } from './lost-messages.ts'

const at = (waiting: number, firstSequence: number, lastSequence: number) => ({
  waiting,
  firstSequence,
  lastSequence,
})

describe('countLostMessages', () => {
  it('counts none where all that waited was given, whatever left the stream meanwhile', () => {
    const lost = countLostMessages()
    expect(lost.look(at(3, 1, 10))).toBe(0)
    for (const sequence of [4, 7, 10, 11, 12]) lost.given(sequence)
    expect(lost.look(at(0, 50, 60))).toBe(0)
    // A consumer whose messages are rare: all others come and go.
    expect(lost.look(at(0, 500, 600))).toBe(0)
  })

  it('takes for given what came while the position was asked for', () => {
    const lost = countLostMessages()
    lost.begin()
    lost.given(4)
    lost.look(at(2, 1, 10))
    lost.given(7)
    lost.begin()
    expect(lost.look(at(0, 50, 60))).toBe(0)
  })

  it('counts what waited and was not given, once it cannot come any more', () => {
    const lost = countLostMessages()
    lost.look(at(3, 1, 10))
    lost.given(4)
    lost.begin()
    expect(lost.look(at(5, 8, 20))).toBe(0)
    lost.given(15)
    lost.begin()
    expect(lost.look(at(4, 11, 30))).toBe(2)
    // Once.
    for (const sequence of [16, 17, 18, 19]) lost.given(sequence)
    expect(lost.look(at(0, 31, 40))).toBe(0)
  })
})
