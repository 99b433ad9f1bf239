import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { newId, type Random } from '@instatunnel/kit/id'
import type { Sql } from '@instatunnel/kit/postgres'
import { seal, unseal } from '@instatunnel/kit/sealed'
import { SESSION_SECONDS } from './domain/session.ts'
import type { SigningKey } from './domain/token.ts'
import type { Eventual } from './eventual.ts'
import {
  type AgedSigningKey,
  deleteSigningKeys,
  insertSigningKey,
  type KeyAges,
  listSigningKeys,
  lockSigningKeys,
  type Purpose,
  type StoredSigningKey,
} from './store/signing-key-store.ts'

const DAY = 24 * 60 * 60
const SIGNS = 30 * DAY
const RELOAD_MS = 60_000
const AGES: KeyAges = {
  // A new key signs only when every replica has loaded it: whoever verifies may ask any of them for it.
  known: (2 * RELOAD_MS) / 1000,
  // A key signs for a month, then verifies for as long as what it signed may live, and a day more.
  signs: SIGNS,
  verifies: SIGNS + SESSION_SECONDS + DAY,
  // Should the database's clock be ahead for a while, it verifies again when that is over.
  kept: SIGNS + SESSION_SECONDS + DAY + 30 * DAY,
}
// A kid that nobody knows asks the database, but not more often than this.
const UNKNOWN_KID_MS = 1000

/** The keys that sessions and identities are signed with: shared by auth's replicas, changed every month. */
export interface SigningKeys {
  /** The newest key of a purpose that every replica knows by now. */
  signing(purpose: Purpose): SigningKey
  /** The public key of a purpose with this kid, also of another replica's newest; undefined for an unknown one. */
  verifying(purpose: Purpose, kid: string): Eventual<KeyObject | undefined>
  /** The public identity keys that may still be met. */
  identityKeys(): { kid: string; publicKey: string }[]
  close(): void
}

/** Opens the shared keys, making those that are missing or due. */
export async function openSigningKeys(options: {
  sql: Sql
  secret: Buffer
  now: () => Date
  random: Random
}): Promise<SigningKeys> {
  const { sql, now } = options
  let keys = await loadSigningKeys(options)
  let loadedAt = now().getTime()

  let reloading: Promise<void> | undefined
  const load = async () => {
    loadedAt = now().getTime()
    keys = await loadSigningKeys(options)
  }
  const reload = () => {
    reloading ??= load().finally(() => {
      reloading = undefined
    })
    return reloading
  }
  // While the database is away the keys at hand still serve; the next round tries again.
  const timer = setInterval(() => void reload().catch(() => {}), RELOAD_MS).unref()
  const find = (purpose: Purpose, kid: string) =>
    keys.find((key) => key.purpose === purpose && key.kid === kid)

  return {
    signing: (purpose) => {
      const candidates = keys.filter((key) => key.purpose === purpose)
      const key = candidates.findLast(({ isKnownToAll }) => isKnownToAll) ?? candidates[0]
      if (!key) throw new Error(`there is no ${purpose} key`)
      return { kid: key.kid, privateKey: key.privateKey }
    },
    verifying: (purpose, kid) => {
      const known = find(purpose, kid)
      if (known) return known.publicKey
      const mayAsk = reloading !== undefined || Math.abs(now().getTime() - loadedAt) > UNKNOWN_KID_MS
      return mayAsk ? reload().then(() => find(purpose, kid)?.publicKey) : undefined
    },
    identityKeys: () =>
      keys
        .filter((key) => key.purpose === 'identity')
        .map(({ kid, publicKey }) => ({
          kid,
          publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
        })),
    close: () => clearInterval(timer),
  }

  async function loadSigningKeys({ secret, random }: typeof options): Promise<OpenKey[]> {
    const current = (await listSigningKeys(sql, AGES)).map((key) => open(key, secret))
    if (hasFresh(current, 'session') && hasFresh(current, 'identity')) return current
    return sql.begin(async (tx) => {
      await lockSigningKeys(tx)
      await deleteSigningKeys(tx, AGES)
      const found = await listSigningKeys(tx, AGES)
      for (const purpose of ['session', 'identity'] as const) {
        if (!hasFresh(found, purpose))
          await insertSigningKey(tx, newSigningKey(purpose, now(), secret, random))
      }
      return (await listSigningKeys(tx, AGES)).map((key) => open(key, secret))
    })
  }
}

interface OpenKey extends Pick<AgedSigningKey, 'kid' | 'purpose' | 'isKnownToAll' | 'isFresh'> {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const hasFresh = (keys: readonly Pick<AgedSigningKey, 'purpose' | 'isFresh'>[], purpose: Purpose) =>
  keys.some((key) => key.purpose === purpose && key.isFresh)

function newSigningKey(purpose: Purpose, now: Date, secret: Buffer, random: Random): StoredSigningKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const kid = newId(`${purpose}_`, now, random)
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return {
    kid,
    purpose,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey: seal(pkcs8, kid, secret, random),
  }
}

function open(stored: AgedSigningKey, secret: Buffer): OpenKey {
  const { kid, purpose, isKnownToAll, isFresh } = stored
  try {
    const privateKey = createPrivateKey(unseal(stored.privateKey, kid, secret))
    const publicKey = createPublicKey(stored.publicKey)
    return { kid, purpose, isKnownToAll, isFresh, privateKey, publicKey }
  } catch {
    throw new Error(
      `the signing key ${kid} cannot be opened: AUTH_SECRET is not the one that it was sealed with`,
    )
  }
}
