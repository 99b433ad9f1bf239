import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Refusal } from './refusal.ts'
import { hasControls, snakeCase, validate } from './validate.ts'

const schema = z.object({
  localPort: z.int().max(65_535, 'must be at most 65535'),
  permissions: z.array(z.string().max(5, 'is too long')),
  metadata: z.object({ ownerId: z.string('must be a text') }).optional(),
})

const refusalOf = (input: unknown): Refusal => {
  try {
    validate(schema, input)
  } catch (error) {
    return error as Refusal
  }
  throw new Error('not refused')
}

describe('validate', () => {
  it('gives what was parsed', () => {
    expect(validate(schema, { localPort: 1, permissions: [], extra: 1 })).toEqual({
      localPort: 1,
      permissions: [],
    })
  })

  it('names every field at fault as it is on the wire', () => {
    const refusal = refusalOf({
      localPort: 65_536,
      permissions: ['ok', 'too long'],
      metadata: { ownerId: 1 },
    })
    expect(refusal).toMatchObject({
      reason: 'INVALID_FIELDS',
      message:
        'local_port: must be at most 65535; permissions[1]: is too long; metadata.ownerId: must be a text',
      details: {
        fields: [
          { field: 'local_port', message: 'must be at most 65535' },
          { field: 'permissions[1]', message: 'is too long' },
          { field: 'metadata.ownerId', message: 'must be a text' },
        ],
      },
    })
  })

  it('names the request where it is none at all', () => {
    expect(refusalOf(undefined).message).toMatch(/^request: /)
  })

  // The whole answer travels in trailers: past what HTTP/2 carries, the caller would see a broken call and no reason.
  it('stops counting faults where the answer would not fit into trailers any more', () => {
    const { message, details } = refusalOf({ localPort: 1, permissions: Array(100_000).fill('too long') })
    expect(details.fields).toHaveLength(10)
    expect(message.length).toBeLessThan(2000)
  })
})

describe('snakeCase', () => {
  it.each([
    ['pageSize', 'page_size'],
    ['page_size', 'page_size'],
    ['name', 'name'],
    ['rateLimitTimeWindow', 'rate_limit_time_window'],
  ])('spells %s as %s', (name, wire) => expect(snakeCase(name)).toBe(wire))
})

describe('hasControls', () => {
  it.each(['\0', 'a\nb', '\t', '\u001b[0m', '\u007f', '\u0085', '\ud800', 'x\udda6'])(
    'sees one in %j',
    (text) => expect(hasControls(text)).toBe(true),
  )
  it.each(['', 'Ada Lovelace', 'Zoë 漢字 🦦', "Robert'); drop table users;--", '\u00a0'])(
    'sees none in %j',
    (text) => expect(hasControls(text)).toBe(false),
  )
})
