import { RESET } from '@instatunnel/kit/frames'

/** Why the local server did not answer, for the relay and for people. */
export interface LocalFault {
  readonly code: typeof RESET.local_down | typeof RESET.local_broken
  readonly message: string
}

/** Says what an error on the way to the local server, or on the way back, means. */
export function faultOf(error: NodeJS.ErrnoException): LocalFault {
  const { code = '', syscall } = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  if (syscall === 'connect' || error instanceof AggregateError)
    return { code: RESET.local_down, message: `nothing takes connections on the port (${code || 'unknown'})` }
  if (code.startsWith('HPE_')) return { code: RESET.local_broken, message: `the answer is no HTTP (${code})` }
  return { code: RESET.local_broken, message: `the local server broke off (${code || error.message})` }
}

/** True for the end of a connection, as one that was kept too long comes to it. */
export const isStale = ({ code }: NodeJS.ErrnoException): boolean => code === 'ECONNRESET' || code === 'EPIPE'
