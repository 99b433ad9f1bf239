import { Refusal } from '@instatunnel/kit/refusal'

/** The refusal to make, or to invite to make, a second account with an e-mail. */
export const emailTaken = (wayOut: string) =>
  new Refusal('EMAIL_TAKEN', `There is an account with this e-mail${wayOut}`, {
    fields: [{ field: 'email', message: 'has an account' }],
  })
