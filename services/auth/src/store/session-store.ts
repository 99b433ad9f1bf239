import type { Page } from '@instatunnel/kit/page'
import type { ISql } from '@instatunnel/kit/postgres'
import type { Standing } from '../domain/holder.ts'
import type { Session } from '../domain/session.ts'

const COLUMNS = ['id', 'user_id', 'created_at', 'expires_at', 'user_agent', 'address'] as const

/** Inserts a session. */
export async function insertSession(sql: ISql, session: Session): Promise<void> {
  const { id, userId, createdAt, expiresAt, userAgent, address } = session
  await sql`
    insert into sessions (id, user_id, created_at, expires_at, user_agent, address)
    values (${id}, ${userId}, ${createdAt}, ${expiresAt}, ${userAgent}, ${address})`
}

/** Forgets a user's sessions whose time is over, by the database's clock: a replica's may be wrong. */
export const deleteExpiredSessions = (sql: ISql, userId: string) =>
  sql`delete from sessions where user_id = ${userId} and expires_at <= now()`

/** A session's end, with the standing of its user. */
export type SessionStanding = Standing & { readonly expiresAt: Date; readonly endedAt: Date | null }

/** The sessions of these ids, also where they have ended or expired; those that never were or are forgotten are left out. */
export const findSessions = (sql: ISql, ids: readonly string[]) => sql<
  (SessionStanding & { readonly id: string })[]
>`
  select sessions.id, users.id as user_id, plan, role, status, expires_at, ended_at
  from sessions join users on users.id = user_id
  where sessions.id = any(${ids as string[]})`

/** As findSessions, of one; undefined where it never was or is forgotten. */
export async function findSession(sql: ISql, id: string): Promise<SessionStanding | undefined> {
  const [session] = await findSessions(sql, [id])
  return session
}

/** The standings of these users; there is none of a user who is no more. */
export const findStandings = (sql: ISql, userIds: readonly string[]) => sql<Standing[]>`
  select id as user_id, plan, role, status from users where id = any(${userIds as string[]})`

/** As findStandings, of one. */
export async function findStanding(sql: ISql, userId: string): Promise<Standing | undefined> {
  const [user] = await findStandings(sql, [userId])
  return user
}

/** A page of a user's live sessions and one more, newest first. */
export const listSessions = (sql: ISql, userId: string, page: Page, now: Date): Promise<Session[]> => sql<
  Session[]
>`
  select ${sql(COLUMNS)} from sessions
  where user_id = ${userId} and ended_at is null and expires_at > ${now}
    and ${page.before === undefined ? sql`true` : sql`id < ${page.before}`}
  order by id desc limit ${page.size + 1}`

/** Ends a user's live session and tells its id; undefined where there is no such session. */
export async function endSession(
  sql: ISql,
  of: { id: string; userId: string },
  now: Date,
): Promise<string | undefined> {
  const [session] = await sql<{ id: string }[]>`
    update sessions set ended_at = ${now}
    where id = ${of.id} and user_id = ${of.userId} and ended_at is null and expires_at > ${now}
    returning id`
  return session?.id
}

/** Ends all of a user's live sessions but one and tells their ids. */
export const endOtherSessions = (
  sql: ISql,
  of: { userId: string; except: string },
  now: Date,
): Promise<{ id: string }[]> =>
  sql<{ id: string }[]>`
    update sessions set ended_at = ${now}
    where user_id = ${of.userId} and id <> ${of.except} and ended_at is null and expires_at > ${now}
    returning id`

/** Ends all of a user's live sessions and tells their ids. */
export const endAllSessions = (sql: ISql, userId: string, now: Date): Promise<{ id: string }[]> =>
  endOtherSessions(sql, { userId, except: '' }, now)

/** Ends a user's oldest live sessions past the newest `keep` and tells their ids. */
export const endOldestSessions = (
  sql: ISql,
  of: { userId: string; keep: number },
  now: Date,
): Promise<{ id: string }[]> =>
  sql<{ id: string }[]>`
    update sessions set ended_at = ${now}
    where id in (
      select id from sessions
      where user_id = ${of.userId} and ended_at is null and expires_at > ${now}
      order by id desc offset ${of.keep})
    returning id`
