import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { descriptorsFile, readRules } from './rules.ts'
import { SERVICE_NAMES } from './service-name.ts'

const SERVICES = join(import.meta.dirname, '../..')

/** All code of a service, and the kit's guard where it has that, which asks auth on its behalf. */
function codeOf(service: string): string {
  const files = globSync('src/**/*.ts', { cwd: join(SERVICES, service) }).filter(
    (file) => !file.endsWith('.test.ts'),
  )
  const own = files.map((file) => readFileSync(join(SERVICES, service, file), 'utf8')).join('\n')
  const guard = own.includes("'@instatunnel/kit/remote-auth'")
  return own + (guard ? readFileSync(join(SERVICES, 'kit/src/remote-auth.ts'), 'utf8') : '')
}

describe('the callers that the rule of an internal rpc names', () => {
  const code = new Map(SERVICE_NAMES.map((service) => [service, codeOf(service)]))
  const internal = [...readRules(descriptorsFile())].flatMap(([path, rule]) =>
    rule.kind === 'internal' ? [{ path, callers: rule.callers }] : [],
  )

  it.each(internal)('are those that call it: $path', ({ path, callers }) => {
    const [, callee] = path.split('.')
    const [, name = ''] = path.split('Service/')
    const method = name[0]?.toLowerCase() + name.slice(1)
    const calls = new RegExp(`\\b${callee}\\s*\\.\\s*${method}\\(`)
    const calling = SERVICE_NAMES.filter(
      (service) => service !== callee && calls.test(code.get(service) ?? ''),
    )
    expect([...callers].sort()).toEqual([...calling].sort())
  })

  it('are found for every rpc', () => {
    expect(internal.length).toBeGreaterThan(15)
  })
})
