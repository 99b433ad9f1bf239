import { describe, expect, it } from 'vitest'
import { aKey } from '../../test/known-key.ts'
import { deprecationOf } from './deprecation.ts'

const deprecatedAt = new Date('2026-07-01T12:00:00.999Z')
const sunsetAt = new Date('2026-07-08T12:00:00.500Z')

describe('deprecationOf', () => {
  it('tells since when a secret is old, and until when it works', () => {
    expect(deprecationOf(aKey({ deprecatedAt, sunsetAt }))).toEqual({
      deprecation: '@1782907200',
      sunset: 'Wed, 08 Jul 2026 12:00:00 GMT',
    })
  })

  it('tells nothing of the secret that a key has', () => {
    expect(deprecationOf(aKey())).toBeUndefined()
  })
})
