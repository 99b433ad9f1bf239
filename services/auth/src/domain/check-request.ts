import { unmappedAddress } from '@instatunnel/kit/network'
import { MessageReader } from './message-reader.ts'

/** What auth reads of Envoy's question about a call; nothing else of it is looked at. */
export interface CheckRequest {
  /** The method and the path with its query, as the client sent them. */
  method: string
  path: string
  authorization: string | undefined
  cookie: string | undefined
  origin: string | undefined
  fetchSite: string | undefined
  /**
   * What Envoy made of X-Forwarded-For and TRUSTED_HOPS; the request's source would be the nearest proxy. Those that it
   * says nothing of count as one client: not to be known must not mean not to be counted.
   */
  address: string
  /** What the gateway's route says of the call, and nothing that a client can: "connect" where an agent connects. */
  access: string
  /** And of its body: "large" where it is, or may be. */
  body: string
}

/**
 * Reads an envoy.service.auth.v3.CheckRequest as protobuf says: fields that it does not know are skipped, messages that
 * come twice are merged, the last one wins of all else (https://protobuf.dev/programming-guides/encoding). Headers are
 * those of the map `headers`: Envoy fills `header_map`, and raw_value, only where encode_raw_headers is set.
 */
export function readCheckRequest(message: Buffer): CheckRequest {
  const request: CheckRequest = {
    method: '',
    path: '',
    authorization: undefined,
    cookie: undefined,
    origin: undefined,
    fetchSite: undefined,
    address: '',
    access: '',
    body: '',
  }
  const reader = new MessageReader(message)
  const { length: end } = message
  while (reader.at < end) {
    const tag = reader.tag(end)
    if (tag === ATTRIBUTES) readAttributes(reader, reader.endOfNext(end), request)
    else reader.skip(tag, end)
  }
  return request
}

/** Tags: a field's number and 2, for what has a length. */
const tagOf = (field: number) => (field << 3) | 2

const ATTRIBUTES = tagOf(1)
/** Of AttributeContext. */
const REQUEST = tagOf(4)
const CONTEXT_EXTENSIONS = tagOf(10)
/** Of AttributeContext.Request. */
const HTTP = tagOf(2)
/** Of AttributeContext.HttpRequest. */
const METHOD = tagOf(2)
const HEADERS = tagOf(3)
const PATH = tagOf(4)

/** The headers that auth reads: http.yaml has Envoy send no others. */
const headers = [
  { name: Buffer.from('authorization'), field: 'authorization' },
  { name: Buffer.from('x-envoy-external-address'), field: 'address' },
  { name: Buffer.from('cookie'), field: 'cookie' },
  { name: Buffer.from('origin'), field: 'origin' },
  { name: Buffer.from('sec-fetch-site'), field: 'fetchSite' },
] as const
/** Of the context extensions. */
const ACCESS = Buffer.from('access')
const BODY = Buffer.from('body')

function readAttributes(reader: MessageReader, end: number, request: CheckRequest): void {
  while (reader.at < end) {
    const tag = reader.tag(end)
    if (tag === REQUEST) readRequest(reader, reader.endOfNext(end), request)
    else if (tag === CONTEXT_EXTENSIONS) {
      reader.entry(end)
      if (reader.keyIs(ACCESS)) request.access = reader.value()
      else if (reader.keyIs(BODY)) request.body = reader.value()
    } else reader.skip(tag, end)
  }
}

function readRequest(reader: MessageReader, end: number, request: CheckRequest): void {
  while (reader.at < end) {
    const tag = reader.tag(end)
    if (tag === HTTP) readHttp(reader, reader.endOfNext(end), request)
    else reader.skip(tag, end)
  }
}

function readHttp(reader: MessageReader, end: number, request: CheckRequest): void {
  while (reader.at < end) {
    const tag = reader.tag(end)
    if (tag === HEADERS) readHeader(reader, end, request)
    else if (tag === PATH) request.path = reader.text(end)
    else if (tag === METHOD) request.method = reader.text(end)
    else reader.skip(tag, end)
  }
}

function readHeader(reader: MessageReader, end: number, request: CheckRequest): void {
  reader.entry(end)
  for (const { name, field } of headers) {
    if (reader.keyIs(name)) {
      const value = reader.value()
      request[field] = field === 'address' ? unmappedAddress(value) : value
      return
    }
  }
}
