import type { CredentialBounds } from '@instatunnel/kit/identity'

/** What a key may be held to that a tunnel's token is not. */
export const BOUNDED: Partial<CredentialBounds>[] = [
  { networks: ['192.0.2.0/24'] },
  { expiresAt: 4_000_000_000 },
  { counted: true },
]
