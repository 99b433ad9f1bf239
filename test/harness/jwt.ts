import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** What a JWT is made of, unverified. */
export interface JwtParts {
  // biome-ignore lint/suspicious/noExplicitAny: whatever a token says
  header: any
  // biome-ignore lint/suspicious/noExplicitAny: whatever a token says
  claims: any
  signature: string
}

/** Reads a JWT without verifying it. */
export function readJwt(token: string): JwtParts {
  const [header = '', claims = '', signature = ''] = token.split('.')
  return { header: decoded(header), claims: decoded(claims), signature }
}

/** Writes a JWT with a signature that says whatever it says. */
export const writeJwt = ({ header, claims, signature }: JwtParts) =>
  `${unsigned(header, claims)}.${signature}`

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const decoded = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
const unsigned = (header: unknown, claims: unknown) => `${encoded(header)}.${encoded(claims)}`

/**
 * What an attacker makes of a token that is good: each differs from it in what it says, or in who vouches for it.
 * `better` are the claims that the attacker would like; `publicKey` is the PEM that the token is verified with, where
 * the attacker knows it.
 */
export function forgeries(
  token: string,
  { better, publicKey }: { better: object; publicKey?: string },
): [name: string, token: string][] {
  const { header, claims, signature } = readJwt(token)
  const wanted = { ...claims, ...better }
  const { privateKey: stranger, publicKey: strangers } = generateKeyPairSync('ed25519')
  const signed = (head: object, body: object, key: KeyObject = stranger) => {
    const text = unsigned(head, body)
    return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
  }
  const hmac = (head: object, key: string | Buffer) => {
    const text = unsigned(head, wanted)
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const jwk = strangers.export({ format: 'jwk' })
  const altered = (part: number, at: number) => {
    const parts = token.split('.')
    const text = parts[part] ?? ''
    parts[part] = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
    return parts.join('.')
  }
  const year = 365 * 24 * 60 * 60
  return [
    ['other claims under the old signature', writeJwt({ header, claims: wanted, signature })],
    [
      'a later end under the old signature',
      writeJwt({ header, claims: { ...claims, exp: claims.exp + year }, signature }),
    ],
    ['no signature', writeJwt({ header, claims, signature: '' })],
    ['half a signature', writeJwt({ header, claims, signature: signature.slice(0, 43) })],
    ['two segments', token.split('.').slice(0, 2).join('.')],
    ['four segments', `${token}.${signature}`],
    [
      'alg none, no signature',
      writeJwt({ header: { ...header, alg: 'none' }, claims: wanted, signature: '' }),
    ],
    [
      'alg None, the old signature',
      writeJwt({ header: { ...header, alg: 'None' }, claims: wanted, signature }),
    ],
    ['alg left out', writeJwt({ header: { ...header, alg: undefined }, claims, signature })],
    ['alg ES256', writeJwt({ header: { ...header, alg: 'ES256' }, claims, signature })],
    ['another key’s signature under the same kid', signed(header, wanted)],
    ['another key’s signature under an unknown kid', signed({ ...header, kid: 'mine' }, wanted)],
    ['another key’s signature, no kid', signed({ ...header, kid: undefined }, wanted)],
    ['a kid that is a path', signed({ ...header, kid: '../../../dev/null' }, wanted)],
    ['a kid that is SQL', signed({ ...header, kid: "' or true --" }, wanted)],
    ['a kid that is no text', signed({ ...header, kid: { $ne: null } }, wanted)],
    ['a key of its own in the header', signed({ ...header, jwk }, wanted)],
    ['a key of its own in the header, no kid', signed({ ...header, jwk, kid: undefined }, wanted)],
    [
      'a key to be fetched',
      signed({ ...header, jku: 'http://localhost/keys', x5u: 'http://localhost/x' }, wanted),
    ],
    ['expired, by another key', signed(header, { ...claims, iat: 1, exp: 2 })],
    ['another type, by another key', signed({ ...header, typ: 'JWT' }, wanted)],
    ['critical extensions that nobody knows', signed({ ...header, crit: ['b64'], b64: false }, wanted)],
    ['claims that are no object', `${encoded(header)}.${encoded('admin')}.${signature}`],
    ['claims that are no JSON', `${encoded(header)}.${Buffer.from('{').toString('base64url')}.${signature}`],
    ['a header that is no JSON', `eyJ.${encoded(claims)}.${signature}`],
    ...(publicKey === undefined
      ? []
      : ([
          ['HS256 under the public key as PEM', hmac({ ...header, alg: 'HS256' }, publicKey)],
          ['HS256 under the public key as PEM, trimmed', hmac({ ...header, alg: 'HS256' }, publicKey.trim())],
          ['HS256 under the public key’s bytes', hmac({ ...header, alg: 'HS256' }, bytesOf(publicKey))],
          [
            'HS256 under its last 32 bytes',
            hmac({ ...header, alg: 'HS256' }, bytesOf(publicKey).subarray(-32)),
          ],
        ] as [string, string][])),
    ['HS256 under nothing', hmac({ ...header, alg: 'HS256' }, '')],
    // A character in the middle of each segment, and the first of each.
    ...[0, 1, 2].flatMap((part) =>
      [0, Math.floor((token.split('.')[part]?.length ?? 0) / 2)].map((at): [string, string] => [
        `segment ${part} altered at ${at}`,
        altered(part, at),
      ]),
    ),
  ]
}

const bytesOf = (pem: string) => Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64')
