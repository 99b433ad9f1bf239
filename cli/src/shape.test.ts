import { expect, it } from 'vitest'
import { fields, flag, list, number, optional, secret, text, time } from './shape.ts'

const shape = fields({
  id: text,
  secret,
  count: number,
  enabled: flag,
  at: optional(time),
  names: list(text),
  within: fields({ things: list(fields({ id: text })) }),
})
const whole = {
  id: '',
  secret: 'it_1',
  count: 0,
  enabled: false,
  names: ['a'],
  within: { things: [{ id: '1' }] },
  more: null,
}

it('takes a value with all fields, and others beside them', () => {
  expect(shape(whole)).toBeUndefined()
  expect(shape({ ...whole, at: '2026-03-01T12:00:00Z' })).toBeUndefined()
})

it.each<[string, unknown]>([
  ['', null],
  ['', [whole]],
  ['', 'text'],
  ['id', { ...whole, id: undefined }],
  ['id', Object.create(whole)],
  ['id', { ...whole, id: { toString: 1 } }],
  ['secret', { ...whole, secret: 'it_1\r\nx: y' }],
  ['count', { ...whole, count: '0' }],
  ['enabled', { ...whole, enabled: null }],
  ['at', { ...whole, at: null }],
  ['at', { ...whole, at: 'soon' }],
  ['names', { ...whole, names: {} }],
  ['names', { ...whole, names: ['a', 1] }],
  ['within', { ...whole, within: 1 }],
  ['within.things.id', { ...whole, within: { things: [{ id: '1' }, {}] } }],
])('names "%s" as the field at fault of %j', (fault, value) => {
  expect(shape(value)).toBe(fault)
})
