import { describe, expect, it } from 'vitest'
import { fieldsToSet } from './update-mask.ts'

const allowed = ['name', 'local_port'] as const
const present =
  (...names: string[]) =>
  (field: string) =>
    names.includes(field)

describe('fieldsToSet', () => {
  it.each([undefined, []])('sets what is present where the mask is %j', (mask) => {
    expect(fieldsToSet(mask, allowed, present('local_port'))).toEqual(new Set(['local_port']))
    expect(fieldsToSet(mask, allowed, present())).toEqual(new Set())
  })

  it('sets exactly what the mask names, absent ones too, present ones that it leaves out not', () => {
    expect(fieldsToSet(['name'], allowed, present('local_port'))).toEqual(new Set(['name']))
  })

  it('takes either spelling, and a name twice', () => {
    expect(fieldsToSet(['localPort', 'local_port'], allowed, present())).toEqual(new Set(['local_port']))
  })

  it('takes "*" for all', () => {
    expect(fieldsToSet(['*'], allowed, present())).toEqual(new Set(allowed))
  })

  it.each(['id', 'user_id', '', 'name.first', '__proto__', '*', ' name'])('refuses %j, naming it', (name) => {
    expect(() => fieldsToSet(['name', name], allowed, present())).toThrow(
      expect.objectContaining({
        reason: 'INVALID_FIELDS',
        message: `update_mask: "${name}" cannot be updated; name some of name, local_port`,
        details: { fields: [expect.objectContaining({ field: 'update_mask' })] },
      }),
    )
  })

  it('repeats no more than 60 characters of a name', () => {
    expect(() => fieldsToSet(['x'.repeat(1_000_000)], allowed, present())).toThrow(
      `update_mask: "${'x'.repeat(60)}" cannot be updated; name some of name, local_port`,
    )
  })
})
