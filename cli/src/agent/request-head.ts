/** A visitor's request, as it goes to the local server. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  /** As it is written to the local server, the empty line included. */
  readonly text: string
  /** Of the body, where it is announced. */
  readonly contentLength: number | undefined
  /** True where the body is sent in chunks, for its length is not known. */
  readonly chunked: boolean
  /** True where the visitor asks to switch to another protocol. */
  readonly upgrades: boolean
}

// Method and path, then names and values, each a line of what RFC 9110 and RFC 9112 allow: no part can become another.
const HEAD =
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\n[\x21-\x7e\x80-\xff]+(?:\n[!#$%&'*+.^_`|~0-9A-Za-z-]+\n[\t\x20-\x7e\x80-\xff]*)*$/

/**
 * Reads the head of a frame that opens a stream; undefined where it is none, or where its body ends would be anybody's
 * guess (RFC 9112, section 6.3). Names and values stay byte for byte as they are, but that `host` takes the place of
 * the visitor's Host. A body that follows without a length is sent in chunks.
 */
export function readRequestHead(
  frame: string,
  { ends, host }: { ends: boolean; host: string | undefined },
): RequestHead | undefined {
  if (!HEAD.test(frame)) return undefined
  const lines = frame.split('\n')
  const [method = '', path = ''] = lines
  if (method === 'CONNECT') return undefined
  let text = `${method} ${path} HTTP/1.1\r\n`
  let contentLength: number | undefined
  let chunked = false
  let upgrades = false
  for (let i = 2; i < lines.length; i += 2) {
    const name = lines[i] as string
    let value = lines[i + 1] as string
    // Names are compared by their length first: of most that is all.
    switch (name.length) {
      case 4:
        if (host !== undefined && name.toLowerCase() === 'host') value = host
        break
      case 7:
        if (name.toLowerCase() === 'upgrade') upgrades = true
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        if (contentLength !== undefined || !/^\d{1,15}$/.test(value)) return undefined
        contentLength = Number(value)
        break
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break
        if (chunked || value !== 'chunked') return undefined
        chunked = true
    }
    text += `${name}: ${value}\r\n`
  }
  if (contentLength !== undefined && (chunked || (ends && contentLength > 0))) return undefined
  if (upgrades && (chunked || contentLength)) return undefined
  if (!ends && !upgrades && !chunked && contentLength === undefined) {
    text += 'transfer-encoding: chunked\r\n'
    chunked = true
  }
  return { method, path, text: `${text}\r\n`, contentLength, chunked, upgrades }
}
