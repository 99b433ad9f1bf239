import type { Api, CallOptions } from '../api.ts'
import { NotReachable } from '../exit.ts'
import { fields, list, type Shape, text } from '../shape.ts'

/** The API's largest page. */
const PAGE_SIZE = 200

/** More pages than any account fills: 200,000 items. */
const MAX_PAGES = 1000

/** Which list is read. */
export interface Listing {
  readonly path: string
  /** The field of a page that has its items, and what an item looks like. */
  readonly field: string
  readonly item: Shape
  /** What is asked for beside the page. */
  readonly query?: CallOptions['query']
}

/** Every item of a list, page by page. Throws NotReachable where the list has no end. */
export async function allPages<Item>(api: Api, { path, field, item, query }: Listing): Promise<Item[]> {
  const shape = fields({ [field]: list(item), next_page_token: text })
  const all: Item[] = []
  const seen = new Set<string>()
  for (let page_token: string | undefined; page_token !== ''; ) {
    const page = await api.call<Record<string, unknown>>('GET', path, {
      query: { ...query, page_size: PAGE_SIZE, page_token },
      shape,
    })
    for (const one of page[field] as Item[]) all.push(one)
    page_token = page.next_page_token as string
    if (seen.has(page_token) || seen.size === MAX_PAGES)
      throw new NotReachable(`${api.url} does not answer as InstaTunnel's API does: its list has no end`)
    seen.add(page_token)
  }
  return all
}
