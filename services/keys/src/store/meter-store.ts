import type { ISql } from '@instatunnel/kit/postgres'
import type { Metered, Metering } from '../domain/metering.ts'

/** How uses are counted, and refilled from when. */
export type Meter = Metering & Pick<Metered, 'refillFrom'>

const needsMeter = ({ remaining, rateLimitMax }: Metering) => remaining !== null || rateLimitMax !== null

/** Writes how the uses of a new key are counted; where they are not, there is nothing to write. */
export async function insertMeter(tx: ISql, keyId: string, meter: Meter): Promise<void> {
  if (!needsMeter(meter)) return
  const { remaining, refillAmount, refillInterval, refillFrom, rateLimitTimeWindow, rateLimitMax } = meter
  await tx`
    insert into key_meters (key_id, remaining, refill_amount, refill_interval, refill_from, time_window, max_uses)
    values (
      ${keyId}, ${remaining}, ${refillAmount}, ${refillInterval}, ${refillFrom}, ${rateLimitTimeWindow}, ${rateLimitMax})`
}

/**
 * Writes how the uses of a locked key are counted from now on; refills that are due are to be done first. What was
 * used in its own window counts in another, too. Where `remaining` is not to be set, what is left of it stays.
 */
export async function saveMeter(
  tx: ISql,
  keyId: string,
  meter: Meter,
  { setsRemaining }: { setsRemaining: boolean },
): Promise<void> {
  if (!needsMeter(meter)) {
    await tx`delete from key_meters where key_id = ${keyId}`
    return
  }
  const { remaining, refillAmount, refillInterval, refillFrom, rateLimitTimeWindow, rateLimitMax } = meter
  const { count } = await tx`
    update key_meters
    set refill_amount = ${refillAmount}, refill_interval = ${refillInterval}, refill_from = ${refillFrom},
      time_window = ${rateLimitTimeWindow}, max_uses = ${rateLimitMax}
      ${setsRemaining ? tx`, remaining = ${remaining}, next_remaining = null` : tx``}
    where key_id = ${keyId}`
  if (count === 0) await insertMeter(tx, keyId, meter)
}
