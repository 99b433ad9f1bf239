import { duplexPair } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FrameError } from './frames.ts'
import { Link } from './link.ts'
import { LinkOutlet } from './link-outlet.ts'
import { LinkStream } from './link-stream.ts'
import { LinkTable } from './link-table.ts'

/** Streams of a link that nobody reads. */
function open(last?: number) {
  const [socket] = duplexPair()
  const link = new Link(socket, { onGoaway: () => {}, onEnd: () => {} })
  onTestFinished(() => link.destroy())
  const outlet = new LinkOutlet(socket)
  const table = new LinkTable(last)
  const add = (id = table.nextId()) => {
    const stream = new LinkStream(link, outlet, id)
    table.add(stream)
    return stream
  }
  return { table, add }
}

describe('the streams of a link', () => {
  it('are found by their ids as long as they are open', () => {
    const { table, add } = open()
    const [one, two] = [add(), add()]
    expect([one.id, two.id, table.size, table.all()]).toEqual([1, 2, 2, [one, two]])
    table.delete(one)
    expect([table.has(1), table.find(1), table.find(2)]).toEqual([false, undefined, two])
  })

  it('are none where they never were, whoever opens them', () => {
    const { table, add } = open()
    expect(() => table.find(1)).toThrow(new FrameError('stream 1 was never opened'))
    add(7)
    expect(table.find(6)).toBeUndefined()
    expect(() => table.find(8)).toThrow(FrameError)
  })

  it('begin anew when their ids are used up, and pass over those that are open', () => {
    const { table, add } = open(0x7ffffffd)
    const first = [add(), add(), add(), add()].map(({ id }) => id)
    expect(first).toEqual([0x7ffffffe, 0x7fffffff, 1, 2])
    const { table: fresh, add: addTo } = open(0x7ffffffe)
    addTo(1)
    expect([addTo(), addTo()].map(({ id }) => id)).toEqual([0x7fffffff, 2])
    expect([table.find(3), fresh.size]).toEqual([undefined, 3])
  })
})
