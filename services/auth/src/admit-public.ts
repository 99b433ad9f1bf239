import type { AdmitPublic } from '@instatunnel/kit/guard'
import type { CheckedAddresses } from './domain/checked-address.ts'
import type { Gate } from './gate.ts'

/** Where Check leaves the client's address, signed, for the public rpcs; nothing that a client sends arrives under this name. */
export const CLIENT_ADDRESS_METADATA = 'x-instatunnel-client-address'

/** The client's address by Check's word for it; undefined for a call that did not pass Check. */
export const checkedAddressOf = (
  checkedAddresses: Pick<CheckedAddresses, 'verify'>,
  { metadata, method }: Pick<Parameters<AdmitPublic>[0], 'metadata' | 'method'>,
  now: Date,
): string | undefined =>
  checkedAddresses.verify(String(metadata.get(CLIENT_ADDRESS_METADATA)[0] ?? ''), method, now)

/**
 * Admits calls of public rpcs. One that passed Check was counted by the client's address, and brings Check's word for it. Any
 * other came past the gateway: it is counted here, by the address of who is connected, whatever address it names.
 */
export const createPublicAdmission =
  ({
    gate,
    checkedAddresses,
    now,
  }: {
    gate: Pick<Gate, 'decide'>
    checkedAddresses: CheckedAddresses
    now: () => Date
  }): AdmitPublic =>
  async ({ metadata, method, peerAddress, signal }) => {
    const address = checkedAddressOf(checkedAddresses, { metadata, method }, now())
    if (address !== undefined) return address
    const peer = peerAddress()
    const { refusal } = await gate.decide(method, { address: peer }, signal)
    if (refusal) throw refusal
    return peer
  }
