import { IDENTITY_METADATA } from '@instatunnel/kit/guard'

/** What a caller who is no service may come with. */
export const noServices: [what: string, metadata: Record<string, string>][] = [
  ['nothing', {}],
  ['a made-up service token', { 'x-instatunnel-service': 'e30.e30.' }],
  ['a user’s identity', { [IDENTITY_METADATA]: 'e30.e30.' }],
  ['a bearer', { authorization: 'Bearer it_0000000000000000' }],
]

/** How each of them is answered. */
export const servicesOnly = {
  code: 'UNAUTHENTICATED',
  reason: 'SERVICES_ONLY',
  message: 'Only services of the platform may call this',
}
