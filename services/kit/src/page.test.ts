import { describe, expect, it } from 'vitest'
import { newId } from './id.ts'
import { paged, pageOf } from './page.ts'

const id = newId('key_', new Date())
const tokenOf = (text: string) => Buffer.from(text).toString('base64url')

describe('pageOf', () => {
  it.each([
    [0, 50],
    [1, 1],
    [200, 200],
    [201, 200],
    [2_147_483_647, 200],
  ])('takes page_size %i as %i', (pageSize, size) => {
    expect(pageOf({ pageSize, pageToken: '' }, 'key_')).toEqual({ size, before: undefined })
  })

  it('refuses a negative page_size', () => {
    expect(() => pageOf({ pageSize: -1, pageToken: '' }, 'key_')).toThrow(
      expect.objectContaining({ reason: 'INVALID_FIELDS', message: 'page_size: must not be negative' }),
    )
  })

  it('reads the token of the page before', () => {
    expect(pageOf({ pageSize: 10, pageToken: tokenOf(id) }, 'key_')).toEqual({ size: 10, before: id })
  })

  it.each([
    id,
    tokenOf('key_'),
    tokenOf(newId('tun_', new Date())),
    tokenOf(`${id}' or true --`),
    tokenOf(id.toUpperCase()),
    '%00',
    '🦦',
    'x'.repeat(1_000_000),
  ])('refuses the token %j', (pageToken) => {
    expect(() => pageOf({ pageSize: 0, pageToken }, 'key_')).toThrow(
      expect.objectContaining({
        reason: 'INVALID_FIELDS',
        message: 'page_token: must be the next_page_token of the page before',
      }),
    )
  })
})

describe('paged', () => {
  const rows = ['c', 'b', 'a'].map((text) => ({ id: text }))
  const page = (size: number) => ({ size, before: undefined })

  it('gives a token only where there is more', () => {
    expect(paged(rows, page(2))).toEqual({ rows: rows.slice(0, 2), nextPageToken: tokenOf('b') })
    expect(paged(rows, page(3))).toEqual({ rows, nextPageToken: '' })
    expect(paged([], page(3))).toEqual({ rows: [], nextPageToken: '' })
  })
})
