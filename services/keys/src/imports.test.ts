import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** What each room may import of the service's own rooms. */
const rooms: Record<string, string[]> = {
  rpc: ['rpc', 'domain', 'store'],
  store: ['store', 'domain'],
  events: ['domain', 'store'],
  domain: ['domain'],
}

const imports = globSync('{rpc,store,events,domain}/*.ts', { cwd: import.meta.dirname })
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8')
    return [...text.matchAll(/ from '([^']+)'/g)].map(([, from = '']) => ({
      file,
      from,
      room: dirname(file),
    }))
  })

describe('imports', () => {
  it('flow one way through the rooms', () => {
    expect(imports.length).toBeGreaterThan(50)
    const outward = imports
      .filter(({ from }) => from.startsWith('.'))
      .filter(({ room, from }) => !rooms[room]?.includes(dirname(join(room, from))))
    expect(outward).toEqual([])
  })

  it('leave the domain pure', () => {
    const pure = /^(\.|node:util$|@instatunnel\/kit\/(id|refusal|scope|secret)$)/
    expect(imports.filter(({ room, from }) => room === 'domain' && !pure.test(from))).toEqual([])
  })

  it('reach no other service', () => {
    expect(imports.filter(({ from }) => /^@instatunnel\/(auth|tunnels|relay)\b/.test(from))).toEqual([])
  })
})
