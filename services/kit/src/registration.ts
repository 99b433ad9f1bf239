/** What REGISTRATION is where it is not set: open on a machine of one's own, closed on a domain that strangers reach. */
export const defaultRegistration = (domain: string): 'open' | 'closed' =>
  domain === 'localhost' || domain.endsWith('.localhost') ? 'open' : 'closed'
