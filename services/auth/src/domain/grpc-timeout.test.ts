import { expect, it } from 'vitest'
import { timeoutOf } from './grpc-timeout.ts'

it.each([
  ['2000m', 2000],
  ['2S', 2000],
  ['1M', 60_000],
  ['1H', 3_600_000],
  ['500u', 0.5],
  ['1000000n', 1],
  ['0m', 0],
  ['99999999H', 99_999_999 * 3_600_000],
])('reads %s', (text, milliseconds) => {
  expect(timeoutOf(text)).toBeCloseTo(milliseconds)
})

it('knows where none is said', () => {
  expect(timeoutOf(undefined)).toBe(Number.POSITIVE_INFINITY)
})

it.each(['', 'm', '2', '2s', '-1m', '+1m', '1.5S', '1e3m', ' 1m', '1m ', '123456789m', '1mm', '٣m'])(
  'takes %j for no time',
  (text) => {
    expect(timeoutOf(text)).toBeUndefined()
  },
)

it('takes several for none', () => {
  expect(timeoutOf(['1m', '2m'])).toBeUndefined()
})
