import type { Api, CallOptions } from '../api.ts'

/** The API's largest page. */
const PAGE_SIZE = 200

/** Every item of a list, page by page; `query` is asked for beside the page. */
export async function allPages<Page extends { next_page_token: string }, Item>(
  api: Api,
  path: string,
  itemsOf: (page: Page) => readonly Item[],
  query: CallOptions['query'] = {},
): Promise<Item[]> {
  const all: Item[] = []
  for (let page_token: string | undefined; page_token !== ''; ) {
    const page = await api.call<Page>('GET', path, { query: { ...query, page_size: PAGE_SIZE, page_token } })
    all.push(...itemsOf(page))
    page_token = page.next_page_token
  }
  return all
}
