import { randomBytes } from 'node:crypto'
import { type Answer, type Call, patiently } from './rest-client.ts'

/** Somebody with an account, logged in. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly password: string
  /** The session's token. */
  readonly token: string
  /** The session's own key. */
  readonly apiKey: string
}

/** A key, and its secret. */
export interface MadeKey {
  readonly id: string
  readonly key: string
}

/**
 * Makes accounts, keys and tunnels through the front door, and knows every secret that was given out. Any number may be
 * made at once: where passwords are being checked already, it tries again when it is told to.
 */
export interface Accounts {
  register(email?: string): Promise<Account>
  /** A further session. */
  login(who: { email: string; password: string }): Promise<Account>
  /** A key of the account that this credential belongs to. */
  key(credential: string, fields?: object): Promise<MadeKey>
  /** A tunnel of the account that this credential belongs to. */
  // biome-ignore lint/suspicious/noExplicitAny: a tunnel as it was answered
  tunnel(credential: string, fields?: object): Promise<any>
  /** Passwords, tokens of sessions and devices, keys and tunnel tokens. */
  readonly secrets: ReadonlySet<string>
}

/** Accounts of this platform; their passwords are each of their own, so that any one can be found where it leaks. */
export function accountsOf(call: Call): Accounts {
  const secrets = new Set<string>()
  const keep = (secret: string) => {
    secrets.add(secret)
    return secret
  }
  const open = async (path: string, email: string, password: string): Promise<Account> => {
    const answer = await patiently(() => call('POST', path, { body: { email, password } }))
    const body = bodyOf(answer)
    for (const device of String(answer.headers['set-cookie']).match(/itd_\w+/g) ?? []) keep(device)
    return { id: body.user.id, email, password, token: keep(body.token), apiKey: keep(body.api_key) }
  }
  return {
    secrets,
    register: (email = `${randomBytes(6).toString('hex')}@example.com`) =>
      open('/v1/auth/register', email, keep(`password ${randomBytes(12).toString('hex')}`)),
    login: ({ email, password }) => open('/v1/auth/login', email, password),
    async key(token, fields = {}) {
      const made = bodyOf(await call('POST', '/v1/auth/keys', { token, body: { name: 'Key', ...fields } }))
      return { id: made.api_key.id, key: keep(made.key) }
    },
    async tunnel(token, fields = {}) {
      const body = { name: 'Tunnel', local_port: 3000, ...fields }
      const { tunnel } = bodyOf(await call('POST', '/v1/tunnels', { token, body }))
      keep(tunnel.token)
      return tunnel
    },
  }
}

/** The body of a call that must succeed. */
// biome-ignore lint/suspicious/noExplicitAny: tests assert on whatever was answered
export function bodyOf(answer: Answer): any {
  if (answer.status !== 200) throw new Error(`not 200 but ${answer.status}: ${answer.text}`)
  return answer.body
}
