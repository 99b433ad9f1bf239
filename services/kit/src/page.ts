import { isId } from './id.ts'
import { invalidFields } from './refusal.ts'

const DEFAULT_SIZE = 50
const MAX_SIZE = 200

/** Which page of a list is asked for, newest first. */
export interface Page {
  readonly size: number
  /** Only what is older than this id; undefined on the first page. */
  readonly before: string | undefined
}

/** Reads page_size and page_token (AIP-158); the tokens are ids of this prefix in base64url. */
export function pageOf(request: { pageSize: number; pageToken: string }, prefix: string): Page {
  if (request.pageSize < 0) throw invalidFields([{ field: 'page_size', message: 'must not be negative' }])
  const size = Math.min(request.pageSize || DEFAULT_SIZE, MAX_SIZE)
  if (request.pageToken === '') return { size, before: undefined }
  const before = Buffer.from(request.pageToken.slice(0, 100), 'base64url').toString()
  if (!isId(before, prefix)) {
    throw invalidFields([{ field: 'page_token', message: 'must be the next_page_token of the page before' }])
  }
  return { size, before }
}

/** Splits `size + 1` rows into the page and the token of the next one. */
export function paged<Row extends { id: string }>(
  rows: readonly Row[],
  page: Page,
): { rows: Row[]; nextPageToken: string } {
  const shown = rows.slice(0, page.size)
  const last = shown.at(-1)
  const more = rows.length > page.size && last !== undefined
  return { rows: shown, nextPageToken: more ? Buffer.from(last.id).toString('base64url') : '' }
}
