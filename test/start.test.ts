import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isFree } from '@instatunnel/local/ports'
import { repository } from '@instatunnel/local/repository'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { accountsOf } from './harness/accounts.ts'
import { take } from './harness/flow.ts'
import { openTunnel } from './harness/open-tunnel.ts'
import { restClient } from './harness/rest-client.ts'
import type { TestStack } from './harness/stack.ts'
import { answered as answeredBy } from './harness/visitor.ts'

/** A start makes a database the first time; two cores are shared with other tests. */
const startTimeoutMs = 120_000

let dataDir: string
const running = new Set<Started>()
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'instatunnel-start-test-'))
})
afterEach(async () => {
  for (const started of running) {
    started.process.kill('SIGTERM') // to npm alone, which hands it on
    await started.exited
  }
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

interface Started {
  process: ChildProcess
  exited: Promise<number | string | null>
  /** Everything it has written so far. */
  output(): string
  /** Resolves with the first line that matches. */
  line(pattern: RegExp): Promise<RegExpMatchArray>
}

/** Runs `npm start` as a person does: npm, the bootstrap, then the platform, all in one process group. */
function npmStart(settings: Record<string, string> = {}): Started {
  const free = Object.fromEntries(
    ['', 'AUTH_', 'KEYS_', 'TUNNELS_', 'NATS_', 'POSTGRES_'].map((part) => [`INSTATUNNEL_${part}PORT`, '0']),
  )
  const child = spawn('npm', ['start'], {
    cwd: repository,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, INSTATUNNEL_DATA: dataDir, ...free, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const lines: string[] = []
  const listeners = new Set<(line: string) => void>()
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      lines.push(line)
      for (const listen of listeners) listen(line)
    })
  }
  const started: Started = {
    process: child,
    exited: new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal))),
    output: () => lines.join('\n'),
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (line: string) => {
          const match = line.match(pattern)
          if (match) resolve(match)
        }
        for (const line of lines) look(line)
        listeners.add(look)
        started.exited.then((exit) => reject(new Error(`npm start ended (${exit}):\n${started.output()}`)))
      }),
  }
  running.add(started)
  started.exited.then(() => running.delete(started))
  return started
}

async function portOf(started: Started): Promise<number> {
  const [, port] = await started.line(/^ready http:\/\/localhost:(\d+)$/)
  return Number(port)
}

/** What /proc says of a process; nothing where it has ended. */
function told(pid: number, file: 'stat' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}

/** Every process below this one, and below those. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name): [number, number] => [
      Number(name),
      Number(/\) \S (\d+)/.exec(told(Number(name), 'stat'))?.[1]),
    ])
  const below = (of: number): number[] =>
    parents.flatMap(([child, parent]) => (parent === of ? [child, ...below(child)] : []))
  return below(pid)
}

/** The process below `npm start` whose command line, its words divided by NUL, matches; 0 while there is none. */
const pidOf = ({ process: { pid } }: Started, program: RegExp): number =>
  descendants(pid as number).find((below) => program.test(told(below, 'cmdline'))) ?? 0

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function gone(pids: number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe('npm start', { timeout: startTimeoutMs }, () => {
  const email = 'kept@example.com'
  const password = 'correct horse battery'
  /** What the first start made, as it was answered. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever was answered
  let kept: { tunnel: any; apiKey: any; secret: string }

  it('serves its own quickstart as pasted, and Ctrl-C leaves no process and no port', async () => {
    const started = npmStart()
    const port = await portOf(started)
    const pids = descendants(started.process.pid as number)
    expect(pids.length).toBeGreaterThan(6)

    const quickstart = started
      .output()
      .split('\n')
      .filter((line) => line.startsWith('  ') && !/^ {2}(auth|keys|tunnels) /.test(line))
      .join('\n')
    const pasted = spawn('sh', ['-e'], { stdio: ['pipe', 'pipe', 'inherit'] })
    const answers: Buffer[] = []
    pasted.stdout.on('data', (chunk: Buffer) => answers.push(chunk))
    pasted.stdin.end(quickstart)
    expect(await new Promise((resolve) => pasted.once('close', resolve))).toBe(0)
    const answered = Buffer.concat(answers).toString()
    expect(answered).toContain('"name":"my site"')
    expect(answered).toContain('"local_port":3000')
    expect(answered).toMatch(/"key":"it_[0-9A-Za-z]{16}"/)
    expect(answered).not.toContain('"error"')

    const call = restClient({ port })
    const registered = await call('POST', '/v1/auth/register', { body: { email, password } })
    expect(registered.status).toBe(200)
    const made = await call('POST', '/v1/tunnels', {
      token: registered.body.token,
      body: { name: 'kept', subdomain: 'kept-one', local_port: 3000 },
    })
    expect(made.status).toBe(200)
    const key = await call('POST', '/v1/auth/keys', {
      token: registered.body.token,
      body: { name: 'kept key', permissions: ['tunnels:read'] },
    })
    expect(key.status).toBe(200)
    kept = { tunnel: made.body.tunnel, apiKey: key.body.api_key, secret: key.body.key }

    const apiUrl = join(dataDir, 'api-url')
    expect(readFileSync(apiUrl, 'utf8')).toBe(`http://localhost:${port}\n`)

    process.kill(-(started.process.pid as number), 'SIGINT') // as a terminal does: to npm and all that it runs
    await started.exited
    await gone(pids)
    expect(await isFree(port)).toBe(true)
    expect(existsSync(apiUrl)).toBe(false)
  })

  it('keeps users, keys and tunnels for the next start', async () => {
    const started = npmStart()
    const port = await portOf(started)
    const call = restClient({ port })
    const login = await call('POST', '/v1/auth/login', { body: { email, password } })
    expect(login.status).toBe(200)
    const found = await call('GET', `/v1/auth/keys/${kept.apiKey.id}`, { token: login.body.token })
    expect(found.body).toEqual(kept.apiKey)
    const { status, body } = await call('GET', '/v1/tunnels', { token: kept.secret })
    // The key may read only, so that the token is masked; the address is that of this start.
    const token = `itt_***...${kept.tunnel.token.slice(-3)}`
    const tunnel = { ...kept.tunnel, token, url: `http://kept-one.localhost:${port}` }
    expect({ status, body }).toEqual({ status: 200, body: { tunnels: [tunnel], next_page_token: '' } })

    const second = npmStart()
    expect(await second.exited).toBe(1)
    expect(second.output()).toMatch(/is in use by process \d+/)
  })

  it('restarts each part that dies, while tunnels live on; one that dies three times in a minute ends all', async () => {
    const started = npmStart({ LIMIT_AUTH_PER_MINUTE: '1000', LIMIT_READ_PER_MINUTE: '1000' })
    const gateway = { port: await portOf(started) }
    const call = restClient(gateway)
    const answered = async () => {
      const { status, body } = await call('POST', '/v1/auth/login', { body: { email, password } })
      const list = await call('GET', '/v1/tunnels', { token: body.token ?? '' })
      return [status, list.status]
    }
    // All of a test stack that opening a tunnel takes.
    const open = await openTunnel({ gateway } as TestStack, accountsOf(call))
    const arrival = open.site.arrival('/stream')
    const asked = answeredBy(open.visitor.ask('/stream').end())
    const { response } = await arrival
    response.write('begun')
    const stream = take(await asked)
    await stream.read('begun'.length)

    const kill = async (name: string, program: RegExp) => {
      const deaths = () => started.output().split(`${name} was ended by SIGKILL`).length
      const before = deaths()
      process.kill(pidOf(started, program), 'SIGKILL')
      await expect.poll(deaths, { timeout: 10_000 }).toBe(before + 1)
    }
    for (const [name, program] of [
      ['auth', /services\/auth\/src\/main/],
      ['keys', /services\/keys\/src\/main/],
      ['tunnels', /services\/tunnels\/src\/main/],
      ['postgres', /^\S*postgres\0-D/],
      ['nats', /^\S*nats-server\0/],
    ] as const) {
      await kill(name, program)
      // What is under way through a tunnel does not notice.
      response.write(name)
      await stream.read(name.length)
      await expect.poll(answered, { timeout: 30_000 }).toEqual([200, 200])
    }
    for (const [name, program] of [
      ['relay', /services\/relay\/src\/main/],
      ['envoy', /^\S*envoy\0/],
    ] as const) {
      const seen = open.agent.events.length
      await kill(name, program)
      await open.agent.event('connected', seen)
      await expect.poll(answered, { timeout: 30_000 }).toEqual([200, 200])
      const visit = () => open.visitor.get('/').then(({ status }) => status, String)
      await expect.poll(visit, { timeout: 30_000 }).toBe(200)
    }
    await open.close()

    let isOver = false
    started.exited.then(() => {
      isOver = true
    })
    let pids: number[] = []
    // It died once already, maybe within this minute.
    for (let deaths = 0; deaths < 3 && !isOver; deaths++) {
      pids = descendants(started.process.pid as number)
      process.kill(pidOf(started, /services\/keys\/src\/main/), 'SIGKILL')
      const serves = () => answered().then(String, String)
      await expect.poll(async () => isOver || (await serves()) === '200,200', { timeout: 30_000 }).toBe(true)
    }
    expect(await started.exited).toBe(1)
    expect(started.output()).toMatch(/^keys was ended by SIGKILL:$/m)
    expect(started.output()).toContain('"msg":"serving"')
    await gone(pids)
    expect(await isFree(gateway.port)).toBe(true)
  })

  it('takes every child with it when it is killed by SIGKILL, and starts again on what they left', async () => {
    const started = npmStart()
    await portOf(started)
    const pids = descendants(started.process.pid as number)
    process.kill(-(started.process.pid as number), 'SIGKILL')
    await gone(pids)
    const again = npmStart()
    const call = restClient({ port: await portOf(again) })
    expect((await call('POST', '/v1/auth/login', { body: { email, password } })).status).toBe(200)
  })

  it('names the setting whose port is taken, before anything is started', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    const started = npmStart({ INSTATUNNEL_KEYS_PORT: String(port) })
    expect(await started.exited).toBe(1)
    expect(started.output()).toContain(`Already in use: INSTATUNNEL_KEYS_PORT (${port})`)
    taken.close()
  })

  it('says in one line that no data can be kept where it is told to', async () => {
    const started = npmStart({ INSTATUNNEL_DATA: join(repository, 'package.json') })
    expect(await started.exited).toBe(1)
    expect(started.output()).toMatch(/^INSTATUNNEL_DATA: .*package\.json is a file; name a folder$/m)
    expect(started.output()).not.toMatch(/^\s+at /m)
  })

  it('names a setting that makes no sense', async () => {
    const started = npmStart({ INSTATUNNEL_PORT: 'http' })
    expect(await started.exited).toBe(1)
    expect(started.output()).toContain('INSTATUNNEL_PORT: must be a whole number from 0 to 65535')
  })
})
