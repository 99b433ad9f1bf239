/** The services of the platform, by the names that their certificates and their tokens carry. */
export const SERVICE_NAMES = ['auth', 'keys', 'tunnels', 'relay'] as const

export type ServiceName = (typeof SERVICE_NAMES)[number]

/** Whether a text is one of these names. */
export const isServiceName = (text: string): text is ServiceName =>
  (SERVICE_NAMES as readonly string[]).includes(text)
