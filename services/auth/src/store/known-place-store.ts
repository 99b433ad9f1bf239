import type { ISql } from '@instatunnel/kit/postgres'
import type { DeviceKind } from '../domain/device.ts'
import { KNOWN_DAYS } from '../domain/known-days.ts'

const KEPT = 20

/** For how long a network or a device is known after the last login from there, as Postgres has it. */
const KNOWN = `${KNOWN_DAYS} days`

/** Where a call comes from, as it is stored: digests of its network and of its device's tokens. */
export interface PlaceDigests {
  readonly network: Buffer
  readonly devices: readonly Buffer[]
}

/** True, in a query about users, where the account was logged in from this network. */
export const isKnownNetwork = (sql: ISql, network: Buffer) => sql`
  exists (
    select 1 from known_networks
    where user_id = users.id and network = ${network} and last_login_at > now() - ${KNOWN}::interval)`

/** In a query about users, the last of these devices that the account was logged in from, or null. */
export const knownDevice = (sql: ISql, devices: readonly Buffer[]) =>
  devices.length === 0
    ? sql`null::bytea`
    : sql`(
        select device from known_devices
        where user_id = users.id and device in ${sql(devices)} and last_login_at > now() - ${KNOWN}::interval
        order by last_login_at desc limit 1)`

/** Notes that an account was logged in from a network. The last twenty are kept, for 90 days each; its user's row is locked. */
export async function noteNetwork(sql: ISql, userId: string, network: Buffer): Promise<void> {
  await sql`
    insert into known_networks (user_id, network, last_login_at) values (${userId}, ${network}, now())
    on conflict (user_id, network) do update set last_login_at = excluded.last_login_at`
  await sql`
    delete from known_networks
    where user_id = ${userId} and (
      last_login_at <= now() - ${KNOWN}::interval
      or network not in (
        select network from known_networks where user_id = ${userId} order by last_login_at desc limit ${KEPT}))`
}

/** As noteNetwork, of a device. The last twenty of its kind are kept, so that programs push no browser out. */
export async function noteDevice(
  sql: ISql,
  userId: string,
  { digest, kind }: { readonly digest: Buffer; readonly kind: DeviceKind },
): Promise<void> {
  await sql`
    insert into known_devices (user_id, device, kind, last_login_at) values (${userId}, ${digest}, ${kind}, now())
    on conflict (user_id, device) do update set kind = excluded.kind, last_login_at = excluded.last_login_at`
  await sql`
    delete from known_devices
    where user_id = ${userId} and (
      last_login_at <= now() - ${KNOWN}::interval
      or device not in (
        select device from known_devices
        where user_id = ${userId} and kind = ${kind} order by last_login_at desc limit ${KEPT}) and kind = ${kind})`
}
