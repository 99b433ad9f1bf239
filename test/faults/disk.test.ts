import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js'
import { answeringParts, watchHangs } from '@instatunnel/local/hang-watch'
import { keptSecret } from '@instatunnel/local/kept-secret'
import { openCluster } from '@instatunnel/local/postgres-cluster'
import type { RunningProcess } from '@instatunnel/local/process'
import { type Supervisor, supervise } from '@instatunnel/local/supervisor'
import { type Account, type Accounts, accountsOf, bodyOf } from '@instatunnel/test/accounts'
import { expectNothingOfTheInside, expectUnauthorized } from '@instatunnel/test/errors'
import type { Observer } from '@instatunnel/test/observer'
import { type OpenTunnel, openTunnel } from '@instatunnel/test/open-tunnel'
import type { Answer } from '@instatunnel/test/rest-client'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { type SmallDisk, smallDisk } from '@instatunnel/test/small-disk'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { service as healthService } from 'grpc-health-check'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'

/** Parts that hang; and disks that are full for seconds, and then have room: of NATS alone, of Postgres alone, and of everything. */

let envoyDir: string
let disks: { all: SmallDisk; nats: SmallDisk; postgres: SmallDisk }
let postgresFolder: string
let stack: TestStack
let supervisor: Supervisor
let accounts: Accounts
let observer: Observer
const said: string[] = []

beforeAll(async () => {
  const [all, nats, postgres] = await Promise.all([smallDisk(64), smallDisk(64), smallDisk(192)])
  disks = { all, nats, postgres }
  const dataDir = join(all.folder, 'data')
  await mkdir(dataDir)
  await mkdir(join(nats.folder, 'nats'), { mode: 0o700 })
  await symlink(join(nats.folder, 'nats'), join(dataDir, 'nats'))
  // A cluster is made under another name first, which becomes its own on the same disk only.
  await openCluster(postgres.folder, await keptSecret(dataDir, 'postgres-password', () => 'secret-of-a-test'))
  postgresFolder = join(dataDir, 'postgres')
  await symlink(join(postgres.folder, 'postgres'), postgresFolder)
  // Envoy reads no file below /proc, where these disks lie.
  envoyDir = await mkdtemp(join(tmpdir(), 'instatunnel-disk-'))
  await symlink(envoyDir, join(dataDir, 'envoy'))
  stack = await startTestStack({ dataDir })
  supervisor = supervise({ stack, dataDir, say: (line) => void said.push(line) })
  accounts = accountsOf(stack.call)
  observer = await stack.observe()
})
afterAll(async () => {
  await supervisor?.stop()
  await stack?.stop()
  disks?.all.remove()
  disks?.nats.remove()
  disks?.postgres.remove()
  await rm(envoyDir, { recursive: true, force: true })
})

const makeKey = (user: Account) =>
  stack.call('POST', '/v1/auth/keys', { token: user.token, body: { name: 'Made under load' } })
const revoke = (user: Account, id: string) =>
  stack.call('DELETE', `/v1/auth/keys/${id}`, { token: user.token })
const use = (key: string) => stack.call('GET', '/v1/tunnels', { token: key })
const health = () => stack.call('GET', '/healthz').then(({ status }) => status, String)
/** Waits until an event of this type about each of these was published. */
const published = (type: string, ids: string[]) => {
  const missing = () => {
    const seen = observer.events.filter((event) => event.type === `instatunnel.events.${type}`)
    const subjects = new Set(seen.map(({ headers }) => headers['ce-subject']))
    return ids.filter((id) => !subjects.has(id))
  }
  return expect.poll(missing, { timeout: 40_000 }).toEqual([])
}

describe('a part that hangs', { timeout: 60_000 }, () => {
  const halted = (processes: readonly RunningProcess[]) => {
    for (const { pid } of processes) process.kill(pid, 'SIGSTOP')
    return () => {
      for (const { pid } of processes) process.kill(pid, 'SIGCONT')
    }
  }

  it('is named, and again once it answers; without NATS calls go on meanwhile', async () => {
    const user = await accounts.register()
    const resume = halted([stack.nats.process()])
    try {
      await expect.poll(() => said, { timeout: 30_000 }).toContain('nats hangs: it has not answered for 5 s')
      const key = await accounts.key(user.token)
      bodyOf(await use(key.key))
      expect(await health()).toBe(200)
    } finally {
      resume()
    }
    await expect.poll(() => said, { timeout: 30_000 }).toContain('nats answers again')
  })

  it('is named whichever it is', async () => {
    const lines: string[] = []
    const over = new AbortController()
    const { signal } = over
    watchHangs(answeringParts(stack), (line) => void lines.push(line), signal, { every: 50, patience: 1000 })
    const names = stack.processes().map(({ name }) => name)
    const resume = halted(stack.processes())
    try {
      await expect
        .poll(() => lines, { timeout: 30_000 })
        .toEqual(expect.arrayContaining(names.map((name) => `${name} hangs: it has not answered for 1 s`)))
    } finally {
      resume()
    }
    await expect
      .poll(() => lines, { timeout: 30_000 })
      .toEqual(expect.arrayContaining(names.map((name) => `${name} answers again`)))
    over.abort()
    await expect.poll(health, { timeout: 30_000 }).toBe(200)
  })
})

describe('while the disk of NATS is full', { timeout: 90_000 }, () => {
  it('calls go on and a revoked key is refused at once; all events arrive once it has room', async () => {
    const user = await accounts.register()
    const revoked = await accounts.key(user.token)
    bodyOf(await use(revoked.key))

    disks.nats.fill()
    const made: string[] = []
    const isNoticed = () => said.some((line) => line.startsWith('NATS takes no more events'))
    while (!isNoticed()) made.push(bodyOf(await makeKey(user)).api_key.id)
    const receipt = bodyOf(await revoke(user, revoked.id))
    expect(receipt).toMatchObject({ success: true, replicas_acked: 1, replicas_total: 1 })
    expectUnauthorized(await use(revoked.key))
    const other = await accounts.register()
    expect(await health()).toBe(200)

    disks.nats.free()
    await published('key.created', made)
    await published('key.revoked', [revoked.id])
    await published('user.registered', [other.id])
  })
})

describe('while the disk of Postgres is full', { timeout: 90_000 }, () => {
  it('is named, by health, too; what was not revoked goes on, and is revoked once it has room', async () => {
    const user = await accounts.register()
    const key = await accounts.key(user.token)
    const keys = new Client(`127.0.0.1:${stack.service('keys').port}`, credentials.createInsecure())
    onTestFinished(() => keys.close())
    const { check } = rpcsOf(keys, { check: healthService.Check as MethodDefinition<object, object> })
    expect(await check({ service: 'writes' })).toEqual({ status: 'SERVING' })

    disks.postgres.fill()
    const metadata = { filler: 'x'.repeat(4000) }
    const make = () =>
      stack.call('POST', '/v1/auth/keys', {
        token: user.token,
        body: { name: 'Made without room', metadata },
      })
    await expect
      .poll(async () => (await Promise.all(Array.from({ length: 8 }, make))).at(-1), { timeout: 30_000 })
      .toMatchObject({ status: 503, body: { error: 'unavailable' } })
    const full = `the disk of ${postgresFolder} is full: calls that change something are 503 until it has room`
    await expect.poll(() => said, { timeout: 10_000 }).toContain(full)
    expect(await check({ service: 'writes' })).toEqual({ status: 'NOT_SERVING' })
    expect(await check({ service: '' })).toEqual({ status: 'SERVING' })
    expect(await health()).toBe(200)
    // Where pages that are there have room for it, it is revoked.
    const isRevoked = (await revoke(user, key.id)).status === 200
    expect((await use(key.key)).status).toBe(isRevoked ? 401 : 200)

    disks.postgres.free()
    await expect
      .poll(() => said, { timeout: 10_000 })
      .toContain(`the disk of ${postgresFolder} has room again`)
    await expect.poll(() => check({ service: 'writes' }), { timeout: 10_000 }).toEqual({ status: 'SERVING' })
    if (!isRevoked) bodyOf(await revoke(user, key.id))
    expectUnauthorized(await use(key.key))
    bodyOf(await make())
  })
})

describe('while the disk of everything is full', { timeout: 120_000 }, () => {
  let user: Account
  let open: OpenTunnel
  const answers: Answer[] = []

  it('calls are answered or 503, none is half done, and tunnels go on; all is well once it has room', async () => {
    user = await accounts.register()
    open = await openTunnel(stack, accounts, user)
    const key = await accounts.key(user.token)

    const stop = new AbortController()
    const load = Array.from({ length: 4 }, async () => {
      while (!stop.signal.aborted) answers.push(await makeKey(user))
    })
    const refusals = () => answers.filter(({ status }) => status !== 200).length
    for (const disk of Object.values(disks)) disk.fill()
    await expect.poll(refusals, { timeout: 30_000 }).toBeGreaterThan(20)
    expect((await open.visitor.get('/')).status).toBe(200)
    const revoked = await revoke(user, key.id)
    for (const disk of Object.values(disks)) disk.free()
    stop.abort()
    await Promise.all(load)

    for (const answer of [...answers, revoked]) {
      if (answer.status !== 200) expect(answer.body).toMatchObject({ error: 'unavailable', code: 5003 })
      expectNothingOfTheInside(answer)
    }
    await expect.poll(async () => (await makeKey(user)).status, { timeout: 30_000 }).toBe(200)
    await expect.poll(health, { timeout: 30_000 }).toBe(200)
    if (revoked.status !== 200) {
      bodyOf(await use(key.key))
      bodyOf(await revoke(user, key.id))
    }
    expectUnauthorized(await use(key.key))
    await published('key.revoked', [key.id])
    const made = answers.filter(({ status }) => status === 200)
    await published(
      'key.created',
      made.map(({ body }) => body.api_key.id),
    )
    await open.close()
  })

  it('logs have gone on, and say what is missing', async () => {
    const log = () => readFile(join(stack.logDir, 'envoy.log'), 'utf8')
    await expect.poll(log, { timeout: 10_000 }).toMatch(/\(up to \d+ lines are missing here: ENOSPC\)\n/)
  })
})
