/** The services with a database of their own, in the order in which they are started. */
export const storingServices = ['auth', 'keys', 'tunnels'] as const

/** All services. */
export const serviceNames = [...storingServices, 'relay'] as const

export type StoringService = (typeof storingServices)[number]

export type ServiceName = (typeof serviceNames)[number]
