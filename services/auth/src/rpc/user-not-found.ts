import { Refusal } from '@instatunnel/kit/refusal'

/** The refusal of a call about an account that is not there. */
export const userNotFound = () => new Refusal('USER_NOT_FOUND', 'There is no such account')
