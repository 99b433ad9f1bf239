/** The services, in the order in which they are started. */
export const serviceNames = ['auth', 'keys', 'tunnels'] as const

export type ServiceName = (typeof serviceNames)[number]
