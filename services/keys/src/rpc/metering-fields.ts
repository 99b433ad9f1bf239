import { z } from 'zod'

const DOUBLES_EXACT_TO = 2 ** 53
const TEN_YEARS_MS = 315_360_000_000
const THIRTY_DAYS_MS = 2_592_000_000

/** How the uses of a key are counted: what only servers should decide. */
export const meteringFields = {
  remaining: whole(0, DOUBLES_EXACT_TO, 'must be a whole number from 0 to 2^53'),
  refillAmount: whole(1, DOUBLES_EXACT_TO, 'must be a whole number from 1 to 2^53'),
  refillInterval: whole(
    1000,
    TEN_YEARS_MS,
    `must be whole milliseconds from 1000 to ${TEN_YEARS_MS} (ten years)`,
  ),
  rateLimitEnabled: z.boolean(),
  rateLimitTimeWindow: whole(
    1,
    THIRTY_DAYS_MS,
    `must be whole milliseconds from 1 to ${THIRTY_DAYS_MS} (30 days)`,
  ),
  rateLimitMax: whole(1, 1_000_000_000, 'must be a whole number from 1 to 1000000000'),
}

// zod's own whole numbers end at 2^53 - 1. Adding 0 makes -0 a plain one.
function whole(least: number, most: number, message: string) {
  return z
    .custom<number>((value) => Number.isInteger(value), message)
    .refine((value) => value >= least && value <= most, message)
    .transform((value) => value + 0)
}
