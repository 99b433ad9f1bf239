import type { ISql } from '@instatunnel/kit/postgres'
import type { Metering } from '../domain/metering.ts'

const needsMeter = ({ remaining, rateLimitMax }: Metering) => remaining !== null || rateLimitMax !== null

/** Writes how the uses of a new key are counted; where they are not, there is nothing to write. */
export async function insertMeter(tx: ISql, keyId: string, metering: Metering): Promise<void> {
  if (!needsMeter(metering)) return
  const { remaining, refillAmount, refillInterval, rateLimitTimeWindow, rateLimitMax } = metering
  await tx`
    insert into key_meters (key_id, remaining, refill_amount, refill_interval, time_window, max_uses)
    values (${keyId}, ${remaining}, ${refillAmount}, ${refillInterval}, ${rateLimitTimeWindow}, ${rateLimitMax})`
}

/**
 * Writes how the uses of a locked key are counted from now on; its leases are to be forfeited first. What was used in
 * its own window counts in another, too. Where `remaining` is not to be set, what is left of it stays.
 */
export async function saveMeter(
  tx: ISql,
  keyId: string,
  metering: Metering,
  { setsRemaining }: { setsRemaining: boolean },
): Promise<void> {
  if (!needsMeter(metering)) {
    await tx`delete from key_meters where key_id = ${keyId}`
    return
  }
  const { remaining, refillAmount, refillInterval, rateLimitTimeWindow, rateLimitMax } = metering
  const { count } = await tx`
    update key_meters
    set refill_amount = ${refillAmount}, refill_interval = ${refillInterval}, time_window = ${rateLimitTimeWindow},
      max_uses = ${rateLimitMax} ${setsRemaining ? tx`, remaining = ${remaining}` : tx``}
    where key_id = ${keyId}`
  if (count === 0) await insertMeter(tx, keyId, metering)
}
