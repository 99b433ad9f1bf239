import { describe, expect, it } from 'vitest'
import { readArguments } from './arguments.ts'

const read = (...args: string[]) =>
  readArguments(args, { benches: ['check', 'tunnel'], parts: { check: ['alone', 'chain'] } })

describe("the bench's arguments", () => {
  it('name one bench or none, and the seconds', () => {
    expect(read()).toEqual({ bench: undefined, seconds: undefined, only: undefined })
    expect(read('3')).toEqual({ bench: undefined, seconds: 3, only: undefined })
    expect(read('tunnel')).toEqual({ bench: 'tunnel', seconds: undefined, only: undefined })
    expect(read('check', '3')).toEqual({ bench: 'check', seconds: 3, only: undefined })
  })

  it('name parts of a bench that has them', () => {
    expect(read('check', '--only', 'chain')).toMatchObject({ bench: 'check', only: ['chain'] })
    expect(read('check', '1', '--only', 'chain', '--only', 'alone')?.only).toEqual(['alone', 'chain'])
  })

  it('are nothing else', () => {
    for (const args of [
      ['walk'],
      ['check', '0'],
      ['check', '601'],
      ['check', '3', '4'],
      ['check', '--only', 'walk'],
      ['tunnel', '--only', 'chain'],
      ['--only', 'chain'],
      ['check', '--fast'],
    ]) {
      expect(read(...args)).toBeUndefined()
    }
  })
})
