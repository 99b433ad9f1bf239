import { describe, expect, it } from 'vitest'
import { createUnknownIds } from './unknown-ids.ts'

describe('createUnknownIds', () => {
  it('remembers since when each is unknown, as it was found last', () => {
    const unknown = createUnknownIds()
    unknown.add('a', 1)
    unknown.add('b', 2)
    unknown.add('a', 3)
    expect(['a', 'b', 'c'].map(unknown.at)).toEqual([3, 2, undefined])
    unknown.delete('a')
    expect(['a', 'b'].map(unknown.at)).toEqual([undefined, 2])
    unknown.clear()
    expect(unknown.at('b')).toBeUndefined()
  })

  it('remembers the last fifty thousand, and at most a hundred, whatever comes', () => {
    const unknown = createUnknownIds()
    const isKnown = (n: number) => unknown.at(`wrong-${n}`) !== undefined
    for (let n = 0; n < 1_000_000; n++) {
      unknown.add(`wrong-${n}`, n)
      if (n % 9973 === 0 && n > 100_000)
        expect([isKnown(n - 49_999), isKnown(n - 100_000)]).toEqual([true, false])
    }
  })

  it('forgets nothing for one that is found unknown once more', () => {
    const unknown = createUnknownIds()
    for (let n = 0; n < 50_000; n++) unknown.add(`wrong-${n}`, n)
    for (let again = 0; again < 100_000; again++) unknown.add('wrong-7', again)
    expect([unknown.at('wrong-0'), unknown.at('wrong-7'), unknown.at('wrong-49999')]).toEqual([
      0, 99_999, 49_999,
    ])
  })

  it('knows one as of the last time also where it was remembered long before, and forgets both', () => {
    const unknown = createUnknownIds()
    unknown.add('a', 1)
    for (let n = 0; n < 50_000; n++) unknown.add(`wrong-${n}`, n)
    expect(unknown.at('a')).toBe(1)
    unknown.add('a', 2)
    expect(unknown.at('a')).toBe(2)
    unknown.delete('a')
    expect(unknown.at('a')).toBeUndefined()
  })
})
