import type { ISql } from '@instatunnel/kit/postgres'

/** True where it is for this transaction to sweep, as long as it lasts: no other one does. */
export async function isSweeping(tx: ISql): Promise<boolean> {
  const [row] = await tx<{ isFirst: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtextextended('sweep keys', 0)) as is_first`
  return row?.isFirst === true
}
