import { describe, expect, it } from 'vitest'
import { createFairQueue } from './fair-queue.ts'

/** A queue of six places, who of it was refused, and who is next until it is empty. */
function setUp() {
  const queue = createFairQueue(6)
  const refused: string[] = []
  const enter = (name: string, network = '', account?: string) => {
    const waiter = { name, network, account, begin: () => {}, refuse: () => refused.push(name) }
    return queue.enter(waiter) && waiter
  }
  const all = () => {
    const names: string[] = []
    for (let next = queue.next(); next; next = queue.next())
      names.push((next as typeof next & { name: string }).name)
    return names
  }
  return { queue, refused, enter, all }
}

describe('a fair queue', () => {
  it('has its networks take turns, and those of one network in the order that they came', () => {
    const { enter, all } = setUp()
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) expect(enter(name, name[0])).toBeTruthy()
    expect(all()).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  })

  it('gives a network that had a turn the next one after all others, however soon it comes again', () => {
    const { queue, enter, all } = setUp()
    for (const name of ['a1', 'b1', 'c1']) enter(name, name[0])
    queue.next()
    enter('a2', 'a')
    expect(all()).toEqual(['b1', 'c1', 'a2'])
  })

  it('lets one network have all places, and gives the last of them to another that comes, until both have as many', () => {
    const { refused, enter, all } = setUp()
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'a6']) expect(enter(name, 'a')).toBeTruthy()
    expect(enter('a7', 'a')).toBe(false)
    for (const name of ['b1', 'b2', 'b3']) expect(enter(name, 'b')).toBeTruthy()
    for (const network of ['a', 'b']) expect(enter('late', network)).toBe(false)
    expect(refused).toEqual(['a6', 'a5', 'a4'])
    expect(all()).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3'])
  })

  it('is full where six networks have a place each', () => {
    const { refused, enter } = setUp()
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) expect(enter(name, name)).toBeTruthy()
    expect(enter('g', 'g')).toBe(false)
    expect(refused).toEqual([])
  })

  it('has two places for an account, from whatever networks, and again once it left them', () => {
    const { queue, enter } = setUp()
    const first = enter('1', 'a', 'ada')
    const enterThird = () => enter('3', 'c', 'ada')
    expect(first && enter('2', 'b', 'ada')).toBeTruthy()
    expect(enterThird()).toBe(false)
    expect(enter('other', 'b', 'eve')).toBeTruthy()
    if (first) queue.leave(first)
    expect(enterThird()).toBeTruthy()
    queue.next()
    expect(enter('4', 'd', 'ada')).toBeTruthy()
    expect(enter('5', 'e', 'ada')).toBe(false)
  })
})
