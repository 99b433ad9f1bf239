import type { ApiKey, CreateKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import type { User } from './start-keys.ts'

/** Has a user make a key; the key as it was answered, and its secret. */
export async function made(
  user: User,
  request: Partial<CreateKeyRequest> = {},
): Promise<{ key: ApiKey; id: string; secret: string }> {
  const { apiKey, key: secret } = await user.createKey({ name: 'before', ...request })
  if (!apiKey) throw new Error('no key in the answer')
  return { key: apiKey, id: apiKey.id, secret }
}

/** How a call that names no key of the caller's is refused. */
export const keyNotFound = {
  code: 'NOT_FOUND',
  reason: 'KEY_NOT_FOUND',
  message: 'API key not found',
  metadata: {},
  http: 404,
  body: { error: 'not_found', message: 'API key not found', code: 4004 },
}

/** How a call is refused whose credential lacks a scope. */
export const scopeMissing = (scope: string) => ({
  code: 'PERMISSION_DENIED',
  reason: 'SCOPE_MISSING',
  message: 'Insufficient permissions for this operation',
  metadata: { required_scope: scope },
  http: 403,
  body: {
    error: 'forbidden',
    message: 'Insufficient permissions for this operation',
    code: 4003,
    required_scope: scope,
  },
})

/** How a call is refused whose field is at fault. */
export const invalid = (field: string, message: string) => ({
  code: 'INVALID_ARGUMENT',
  reason: 'INVALID_FIELDS',
  message: `${field}: ${message}`,
  metadata: {},
  fields: [{ field, message }],
  http: 400,
  body: {
    error: 'validation_error',
    message: `${field}: ${message}`,
    code: 4000,
    fields: [{ field, message }],
  },
})

/** What may stand where a key's id is expected, and is none. */
export const notKeyIds = [
  '',
  'key_',
  'key_\0',
  'key_01h0000000000000000000000\0',
  'tun_01h00000000000000000000000',
  'key_01H00000000000000000000000',
  'key_01h00000000000000000000000', // one that was never made
  "key_' or 1=1 --",
  'x'.repeat(100_000),
]
