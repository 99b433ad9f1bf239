import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import { parseDuration, parseList, parsePort } from './parse.ts'

describe('parsePort', () => {
  it('takes 1 to 65535', () => {
    expect(['1', '3000', '65535'].map(parsePort)).toEqual([1, 3000, 65535])
  })

  it.each(['', '0', '65536', '-1', '3000x', '3e3', '0x10', ' 80', '99999999'])('refuses "%s"', (text) => {
    expect(() => parsePort(text)).toThrow(new InvalidArgumentError('It must be a port, 1 to 65535.'))
  })
})

describe('parseDuration', () => {
  it('takes seconds, and numbers with a unit', () => {
    expect(['90', '90s', '15m', '12h', '30d'].map(parseDuration)).toEqual([90, 90, 900, 43_200, 2_592_000])
  })

  it.each(['', '0', '0d', 'd', '1w', '1.5h', '-1h', '1h30m'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(
      new InvalidArgumentError('It must be seconds, or a number with s, m, h or d: 30d.'),
    )
  })
})

describe('parseList', () => {
  it('takes names with commas between, several times', () => {
    expect(parseList('tunnels:read,tunnels:write')).toEqual(['tunnels:read', 'tunnels:write'])
    expect(parseList('logs:read,', ['tunnels:read'])).toEqual(['tunnels:read', 'logs:read'])
  })
})
