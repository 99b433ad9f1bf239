import { AuthServiceService } from '@instatunnel/proto/auth/v1/auth_service'
import { CLIENT_ADDRESS_METADATA } from './admit-public.ts'
import type { CheckRequest } from './domain/check-request.ts'
import type { CheckedAddresses } from './domain/checked-address.ts'
import type { Headers } from './domain/header-option.ts'
import type { OwnCookies } from './own-cookies.ts'

/** What Check adds to a call of an rpc, by its full method, beside who is calling; undefined for nothing. */
export type HandedOn = (rpc: string, request: CheckRequest) => Headers | undefined

/**
 * Hands auth's own cookies to the rpcs that act on them, and the client's address, signed, to the one that asks for a
 * password and is not public: wrong ones count by network, too.
 */
export const createHandedOn =
  (ownCookies: OwnCookies, checkedAddresses: Pick<CheckedAddresses, 'sign'>, now: () => Date): HandedOn =>
  (rpc, request) =>
    rpc === AuthServiceService.changePassword.path
      ? { [CLIENT_ADDRESS_METADATA]: checkedAddresses.sign(request.address, rpc, now()) }
      : ownCookies(rpc, request)
