/** A visitor's request, as it goes to the local server. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  /** Names and values in turns, as the visitor sent them. */
  readonly headers: string[]
  /** Of the body, where it is announced. */
  readonly contentLength: number | undefined
  /** True where the visitor asks to switch to another protocol. */
  readonly upgrades: boolean
}

/**
 * Reads the head of a frame that opens a stream; undefined where it is none. `host` takes the place of the visitor's
 * Host; where a body follows whose length is not known, it is sent in chunks.
 */
export function readRequestHead(
  text: string,
  { ends, host }: { ends: boolean; host: string | undefined },
): RequestHead | undefined {
  const headers = text.split('\n')
  const [method = '', path = ''] = headers.splice(0, 2)
  if (path === '' || headers.length % 2 === 1 || method === 'CONNECT') return undefined
  let contentLength: number | undefined
  let upgrades = false
  let chunked = false
  let trailerAt = -1
  // Names are compared by their length first: of most headers that is all.
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    switch (name.length) {
      case 4:
        if (host !== undefined && is(name, 'host')) headers[i + 1] = host
        break
      case 7:
        if (is(name, 'upgrade')) upgrades = true
        else if (is(name, 'trailer')) trailerAt = i
        break
      case 14: {
        if (!is(name, 'content-length')) break
        const value = headers[i + 1] as string
        // Where its body ends must not be anybody's guess (RFC 9112, section 6.3).
        if (contentLength !== undefined || !/^\d{1,15}$/.test(value)) return undefined
        contentLength = Number(value)
        break
      }
      case 17:
        if (!is(name, 'transfer-encoding')) break
        if (chunked || headers[i + 1] !== 'chunked') return undefined
        chunked = true
    }
  }
  if (contentLength !== undefined && (chunked || (ends && contentLength > 0))) return undefined
  if (upgrades && (chunked || contentLength)) return undefined
  if (!ends && !upgrades && !chunked && contentLength === undefined) {
    headers.push('transfer-encoding', 'chunked')
    chunked = true
  }
  // Node refuses to announce trailers that cannot come.
  if (trailerAt !== -1 && !chunked) headers.splice(trailerAt, 2)
  return { method, path, headers: lengthLast(headers, contentLength), contentLength, upgrades }
}

/**
 * Node takes a Content-Disposition that stands behind a Content-Length for UTF-8 and writes it as latin1, which leaves
 * neither; in front of it, it passes byte for byte.
 */
function lengthLast(headers: string[], contentLength: number | undefined): string[] {
  if (contentLength === undefined) return headers
  const isDisposition = headers.some((name, i) => i % 2 === 0 && is(name, 'content-disposition'))
  if (!isDisposition) return headers
  const at = headers.findIndex((name, i) => i % 2 === 0 && is(name, 'content-length'))
  headers.push(...headers.splice(at, 2))
  return headers
}

const is = (name: string, lower: string) => name.length === lower.length && name.toLowerCase() === lower
