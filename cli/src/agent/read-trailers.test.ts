import { describe, expect, it } from 'vitest'
import { readTrailers } from './read-trailers.ts'

describe('readTrailers', () => {
  it('writes them as they are', () => {
    expect(readTrailers('')).toBe('')
    expect(readTrailers('X-Sum\n1\nx-sum\n')).toBe('X-Sum: 1\r\nx-sum: \r\n')
  })

  it.each(['a', 'a\nb\nc', '\nb', 'a b\nc', 'a\nb\r\nc: d', 'a\nb\0', 'a:\nb'])(
    'takes %j for none',
    (frame) => {
      expect(readTrailers(frame)).toBeUndefined()
    },
  )
})
