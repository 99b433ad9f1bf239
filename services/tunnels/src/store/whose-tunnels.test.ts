import { isSubdomainAllowed } from '@instatunnel/kit/subdomain-pattern'
import { afterAll, describe, expect, it } from 'vitest'
import { made } from '../../test/made.ts'
import { startTunnels } from '../../test/start-tunnels.ts'
import { areOf } from './whose-tunnels.ts'

const tunnels = await startTunnels()
afterAll(() => tunnels.close())

const subdomains = ['docs', 'docs-', 'docs-demo', 'a-docs-b', 'docs1', 'docsx', 'abab', 'a'.repeat(63)]
const patterns = [
  ...['*', '**', '?', '????', 'docs', 'docs*', 'docs-*', '*docs*', '*-b', 'docs?', 'a*b', '*ab', 'd?c?', ''],
  // What is no pattern of ours, and would be one of LIKE's.
  ...['%', '_', '____', 'docs%', 'docs_', '\\', 'docs\\', '\\*', "docs' or true --", 'DOCS*', '[a-z]*'],
]

/** What is asked for by pattern, as the query has it. */
async function matching(asked: readonly string[]): Promise<string[]> {
  const { sql } = tunnels
  const rows = await sql`
    select subdomain from (select 'user_1' as user_id, unnest(${subdomains}::text[]) as subdomain) as tunnels
    where ${areOf(sql, { userId: 'user_1', patterns: asked })}`
  return rows.map(({ subdomain }) => subdomain)
}

describe('areOf', () => {
  it.each(patterns)('finds by %j just what the pattern allows', async (pattern) => {
    expect(await matching([pattern])).toEqual(subdomains.filter((one) => isSubdomainAllowed(one, [pattern])))
  })

  it('finds by several what one of them allows, and by none all', async () => {
    expect(await matching(['docs?', 'abab', 'nothing'])).toEqual(['docs-', 'docs1', 'docsx', 'abab'])
    expect(await matching([])).toEqual(subdomains)
  })

  it('is quick, whatever the pattern', async () => {
    const user = tunnels.user({ plan: 'business' })
    for (let i = 0; i < 20; i++) await made(user, { subdomain: `${'a'.repeat(60)}${100 + i}` })
    const restricted = tunnels.user({ id: user.id, subdomains: Array(32).fill(`${'*a'.repeat(30)}b`) })
    const before = performance.now()
    expect((await restricted.listTunnels()).tunnels).toEqual([])
    expect(performance.now() - before).toBeLessThan(1000)
  })
})
