import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { seal, unseal } from './sealed.ts'

const key = Buffer.alloc(32, 1)
const sealed = seal('a private key 🦦', 'session_1', key, randomBytes)

describe('seal', () => {
  it('opens to what was sealed', () => {
    expect(unseal(sealed, 'session_1', key)).toBe('a private key 🦦')
    expect(unseal(seal('', 'n', key, randomBytes), 'n', key)).toBe('')
  })

  it('shows nothing of it, and differs each time', () => {
    expect(sealed.includes('private')).toBe(false)
    expect(seal('a private key 🦦', 'session_1', key, randomBytes)).not.toEqual(sealed)
  })

  it('does not open under another key', () => {
    expect(() => unseal(sealed, 'session_1', Buffer.alloc(32, 2))).toThrow()
  })

  it("does not open as another's: a row's secret cannot be put into another row", () => {
    expect(() => unseal(sealed, 'session_2', key)).toThrow()
    expect(() => unseal(sealed, '', key)).toThrow()
  })

  it('does not open with any bit changed, nor with any byte left out', () => {
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed)
      changed[i] = (changed[i] as number) ^ 1
      expect(() => unseal(changed, 'session_1', key), `byte ${i}`).toThrow()
      expect(() => unseal(sealed.subarray(0, i), 'session_1', key), `cut to ${i}`).toThrow()
    }
  })
})
