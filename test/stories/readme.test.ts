import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { portOrFree } from '@instatunnel/local/ports'
import { repository } from '@instatunnel/local/repository'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The README's examples, run as they stand but for the ports. */

const run = promisify(execFile)
const folder = join(repository, '.data', 'readme')
let stack: TestStack
let readme: string

beforeAll(async () => {
  stack = await startTestStack()
  readme = await readFile(join(repository, 'README.md'), 'utf8')
  await mkdir(folder, { recursive: true, mode: 0o700 })
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await stack.stop()
})

/** The code block that begins with this line, on the stack's ports. */
function example(fence: string): string {
  const [, code] = readme.split(`\`\`\`${fence}\n`)
  if (code === undefined) throw new Error(`the README has no block "${fence}"`)
  const { port: tunnels } = stack.service('tunnels')
  return (code.split('\n```')[0] ?? '')
    .replaceAll('localhost:8080', `localhost:${stack.gateway.port}`)
    .replaceAll('127.0.0.1:50053', `127.0.0.1:${tunnels}`)
}

describe('README', () => {
  it('has a quickstart that does what it says', async () => {
    const { stdout, stderr } = await run('sh', ['-c', example('sh quickstart')])
    expect(stderr).toBe('')
    const [listed, changed, whoAmI, refused, ...rest] = stdout.trim().split('\n')
    expect(rest).toEqual([])
    const { tunnels } = JSON.parse(listed ?? '')
    expect(tunnels).toMatchObject([{ name: 'My web app', local_port: 3000 }])
    expect(JSON.parse(changed ?? '')).toMatchObject({ id: tunnels[0].id, local_port: 8080 })
    expect(JSON.parse(whoAmI ?? '').credential.scopes).toEqual(['tunnels:read'])
    expect(readme).toContain(`\`${refused}\``)
  })

  it('has a tunnel in its quickstart that carries a request to a local server', async () => {
    const port = String(await portOrFree(0))
    const tunnel = example('sh tunnel').replaceAll('3000', port)
    const env = {
      ...process.env,
      INSTATUNNEL_API: stack.gateway.url,
      INSTATUNNEL_API_KEY: '',
      XDG_CONFIG_HOME: folder,
    }
    const options = { cwd: folder, env }
    const { stdout } = await run('sh', ['-c', `${example('sh quickstart')}\n${tunnel}`], options)
    expect(stdout.trim().split('\n').at(-1)).toBe('hello from my machine')
    expect(readme).toContain('It prints `hello from my machine`.')
  })

  it('has a gRPC example in TypeScript that runs', async () => {
    const person = { email: 'reader@example.com', password: 'correct horse battery' }
    const { api_key: key } = (await stack.call('POST', '/v1/auth/register', { body: person })).body
    await stack.call('POST', '/v1/tunnels', {
      token: key,
      body: { name: 'T', subdomain: 'read-me', local_port: 1 },
    })
    const file = join(folder, 'example.ts')
    await writeFile(file, example('ts example'))
    const env = { ...process.env, KEY: key }
    const { stdout } = await run(process.execPath, ['--no-warnings', file], { env })
    expect(stdout).toBe(`[ 'http://read-me.localhost:${stack.gateway.port}' ]\n`)
  })
})
