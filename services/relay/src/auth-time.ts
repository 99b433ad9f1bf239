import type { ServiceError } from '@grpc/grpc-js'
import type { ServiceClient } from '@instatunnel/kit/client'
import type { ReadTime } from '@instatunnel/kit/clock'
import { timeIn } from '@instatunnel/kit/status'
import type { AuthorizationServiceService } from '@instatunnel/proto/auth/internal/v1/authorization_service'

/**
 * Asks auth for the database's time, in milliseconds since the epoch. Where this clock is so wrong that auth takes no token of
 * ours, the refusal says what time it is there.
 */
export const readAuthTime =
  (auth: Pick<ServiceClient<typeof AuthorizationServiceService>, 'getTime'>): ReadTime =>
  async (signal) => {
    try {
      const { time } = await auth.getTime({}, { signal })
      if (!time) throw new Error('auth does not tell the time')
      return time.getTime()
    } catch (error) {
      const { metadata } = error as Partial<ServiceError>
      const time = metadata && timeIn(metadata)
      if (time === undefined) throw error
      return time
    }
  }
