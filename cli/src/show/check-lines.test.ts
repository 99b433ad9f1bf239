import { describe, expect, it } from 'vitest'
import { checkLines } from './check-lines.ts'

const style = (format: unknown, text: string) => `<${format}>${text}`
const check = (name: string, passed: boolean) => ({ name, passed, message: `about\n${name}` })

describe('checkLines', () => {
  it('dims what is past the stop', () => {
    const checks = [check('key', true), check('enabled', false), check('remaining', false)]
    expect(checkLines({ allowed: false, stopped_at: 'enabled', checks }, { style })).toEqual([
      '✅ key        about key',
      '❌ enabled    about enabled',
      '<dim>❌ remaining  about remaining',
      'The request would stop at enabled',
    ])
  })

  it('says where nothing would stop it', () => {
    expect(checkLines({ allowed: true, checks: [check('key', true)] }, { style })).toEqual([
      '✅ key  about key',
      'The request would be admitted',
    ])
  })
})
