import { describe, expect, inject, it } from 'vitest'
import { readConfig } from './config.ts'
import { connectionsNeeded, maxConnections, refuseTooFewConnections } from './connections.ts'

describe('the connections of all services', () => {
  it.each([
    ['1', '10'],
    ['16', '10'],
    ['16', '100'],
  ])('fit with %s replicas of each and pools of %s', (INSTATUNNEL_REPLICAS, POSTGRES_POOL_SIZE) => {
    const config = readConfig({ INSTATUNNEL_REPLICAS, POSTGRES_POOL_SIZE })
    // auth, keys and tunnels: a pool each, and one connection that listens.
    const needed = 3 * Number(INSTATUNNEL_REPLICAS) * (Number(POSTGRES_POOL_SIZE) + 1)
    expect(connectionsNeeded(config)).toBe(needed)
    expect(maxConnections(config)).toBeGreaterThanOrEqual(needed + 10)
  })
})

describe('refuseTooFewConnections', () => {
  const url = inject('postgresUrl') // it allows 300

  it('admits a server that has enough', () => refuseTooFewConnections(url, { replicas: 2, poolSize: 10 }))

  it('says how many there are, how many it takes, and what to change', async () => {
    await expect(refuseTooFewConnections(url, { replicas: 10, poolSize: 10 })).rejects.toThrow(
      /^The PostgreSQL of DATABASE_URL cannot be used: it allows 29\d connections, and the services may open 330\. Raise its max_connections, or lower POSTGRES_POOL_SIZE \(10\) or INSTATUNNEL_REPLICAS \(10\)$/,
    )
  })

  it('says why it cannot be reached, and shows no password', async () => {
    const wrong = Object.assign(new URL(url), { password: 'hunter2' }).href
    const refused = refuseTooFewConnections(wrong, { replicas: 1, poolSize: 10 })
    await expect(refused).rejects.toThrow(
      /^The PostgreSQL of DATABASE_URL cannot be used: password authentication failed/,
    )
    await expect(refused).rejects.not.toThrow('hunter2')
  })
})
