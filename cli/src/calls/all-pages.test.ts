import { describe, expect, it } from 'vitest'
import type { Api } from '../api.ts'
import { NotReachable } from '../exit.ts'
import { text } from '../shape.ts'
import { allPages } from './all-pages.ts'

/** An API whose nth page, from 0 on, this is. */
function answering(pageOf: (nth: number) => { things: string[]; next_page_token: string }) {
  const asked: unknown[] = []
  const call = async (_method: string, _path: string, options: { query?: object } = {}) => {
    asked.push(options.query)
    return pageOf(asked.length - 1)
  }
  return { asked, api: { url: 'http://a', call } as unknown as Api }
}

const listing = { path: '/v1/things', field: 'things', item: text, query: { state: 'active' } }
const endless = new NotReachable("http://a does not answer as InstaTunnel's API does: its list has no end")

describe('a list', () => {
  it('is read page by page', async () => {
    const { api, asked } = answering((nth) => ({
      things: [`thing ${nth}`],
      next_page_token: nth < 2 ? `after ${nth}` : '',
    }))
    expect(await allPages(api, listing)).toEqual(['thing 0', 'thing 1', 'thing 2'])
    expect(asked).toEqual([
      { state: 'active', page_size: 200, page_token: undefined },
      { state: 'active', page_size: 200, page_token: 'after 0' },
      { state: 'active', page_size: 200, page_token: 'after 1' },
    ])
  })

  it('ends where a page token repeats', async () => {
    const { api, asked } = answering((nth) => ({ things: [], next_page_token: `page ${nth % 3}` }))
    await expect(allPages(api, listing)).rejects.toEqual(endless)
    expect(asked).toHaveLength(4)
  })

  it('ends where it has more pages than any account fills', async () => {
    const { api, asked } = answering((nth) => ({ things: [], next_page_token: String(nth) }))
    await expect(allPages(api, listing)).rejects.toEqual(endless)
    expect(asked).toHaveLength(1001)
  })
})
