import { describe, expect, it } from 'vitest'
import { createHomeNetworks } from './home-networks.ts'

describe('the networks that accounts were logged in from', () => {
  it('are the last four of each', () => {
    const homes = createHomeNetworks()
    for (const network of ['a', 'b', 'c', 'd', 'a', 'e']) homes.note('ada', network)
    expect(['a', 'b', 'c', 'd', 'e', 'f'].filter(homes.has)).toEqual(['a', 'c', 'd', 'e'])
  })

  it('stay where another account has them too', () => {
    const homes = createHomeNetworks()
    homes.note('eve', 'a')
    for (const network of ['a', 'b', 'c', 'd', 'e']) homes.note('ada', network)
    expect(homes.has('a')).toBe(true)
    for (const network of ['v', 'w', 'x', 'y']) homes.note('eve', network)
    expect(homes.has('a')).toBe(false)
  })

  it('are forgotten of those who logged in longest ago, where too many did', () => {
    const homes = createHomeNetworks(2)
    homes.note('ada', 'a')
    homes.note('bob', 'b')
    homes.note('ada', 'a')
    homes.note('eve', 'e')
    expect(['a', 'b', 'e'].filter(homes.has)).toEqual(['a', 'e'])
  })
})
