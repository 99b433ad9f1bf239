import type { HeaderField } from './hpack-decoder.ts'

/** How a request begins. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly contentType: string | undefined
  readonly grpcTimeout: string | undefined
  /** How many bytes of content it announces; undefined where it does not say. */
  readonly contentLength: number | undefined
}

/** Reads the head of a request; undefined where it is malformed (RFC 9113 §8.2, §8.3). */
export function readRequestHead(fields: readonly HeaderField[]): RequestHead | undefined {
  const pseudo: Pseudo = {}
  const said: Said = { contentType: undefined, grpcTimeout: undefined, contentLength: undefined }
  let isPastPseudo = false
  for (const { name, value } of fields) {
    if (name.charCodeAt(0) === COLON) {
      if (isPastPseudo || !addPseudo(pseudo, name, value)) return undefined
    } else {
      isPastPseudo = true
      if (!isField(name, value) || !addSaid(said, name, value)) return undefined
    }
  }
  const { ':method': method, ':scheme': scheme, ':path': path } = pseudo
  if (!method || !scheme || !path) return undefined
  return { method, path, ...said }
}

/** Whether these may follow a request's content: what they say, nobody reads (RFC 9113 §8.1). */
export const areTrailers = (fields: readonly HeaderField[]): boolean =>
  fields.every(({ name, value }) => name.charCodeAt(0) !== COLON && isField(name, value))

type Pseudo = { ':method'?: string; ':scheme'?: string; ':path'?: string; ':authority'?: string }
type Said = { -readonly [Name in 'contentType' | 'grpcTimeout' | 'contentLength']: RequestHead[Name] }

const COLON = 58

function addPseudo(pseudo: Pseudo, name: string, value: string): boolean {
  switch (name) {
    case ':method':
    case ':scheme':
    case ':path':
    case ':authority':
      if (pseudo[name] !== undefined || !VALUE.test(value)) return false
      pseudo[name] = value
      return true
    default:
      return false
  }
}

function addSaid(said: Said, name: string, value: string): boolean {
  switch (name) {
    case 'content-type':
      said.contentType = value
      return true
    case 'grpc-timeout':
      said.grpcTimeout = value
      return true
    case 'content-length':
      if (!/^\d{1,15}$/.test(value)) return false
      if (said.contentLength !== undefined && said.contentLength !== Number(value)) return false
      said.contentLength = Number(value)
      return true
    default:
      return true
  }
}

const isField = (name: string, value: string) =>
  NAME.test(name) && VALUE.test(value) && isOfMessage(name, value)

/** What is of one connection alone, HTTP/2 has its own ways for (RFC 9113 §8.2.2). */
function isOfMessage(name: string, value: string): boolean {
  switch (name) {
    case 'connection':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
    case 'upgrade':
      return false
    case 'te':
      return value === 'trailers'
    default:
      return true
  }
}

// A name is a token in small letters (RFC 9110 §5.6.2); a value begins and ends with no space, and breaks no line (§8.2.1).
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const VALUE = /^(?![ \t])[^\x00\n\r]*(?<![ \t])$/
