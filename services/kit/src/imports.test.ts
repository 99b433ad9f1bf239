import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

const SERVICES = join(import.meta.dirname, '../..')

/** The services, kit apart: every folder of services/ that has a composition root. */
const services = globSync('*/src/start.ts', { cwd: SERVICES }).map((file) => file.split('/')[0] as string)

/** A source file, tests apart. */
interface Source {
  readonly service: string
  /** Its path within src/. */
  readonly file: string
  /** The room that it is in: the folder within src/, "." for the service's own level. */
  readonly room: string
  readonly text: string
}

const sourcesOf = (service: string): Source[] =>
  globSync('**/*.ts', { cwd: join(SERVICES, service, 'src') })
    .filter((file) => !file.endsWith('.test.ts'))
    .map((file) => ({
      service,
      file,
      room: dirname(file),
      text: readFileSync(join(SERVICES, service, 'src', file), 'utf8'),
    }))

const importsOf = ({ text }: Source) =>
  [...text.matchAll(/(?:from|import\() ?'([^']+)'/g)].map(([, from = '']) => from)

const sources = services.flatMap(sourcesOf)

/** Every import that `isWrong`, as "service/file imports module": empty where all is well. */
const wrong = (isWrong: (from: string, source: Source) => boolean, among = sources) =>
  among.flatMap((source) =>
    importsOf(source)
      .filter((from) => isWrong(from, source))
      .map((from) => `${source.service}/${source.file} imports ${from}`),
  )

/** Every file whose text has something, as "service/file". */
const having = (pattern: RegExp, among: (source: Source) => boolean) =>
  sources
    .filter((source) => among(source) && pattern.test(source.text))
    .map(({ service, file }) => `${service}/${file}`)

// What a room may import of its service. A service's own level ("." : a gate, a key ring) serves its rpcs.
const rooms: Record<string, readonly string[]> = {
  rpc: ['rpc', 'domain', 'store', '.'],
  events: ['events', 'domain', 'store'],
  store: ['store', 'domain'],
  domain: ['domain'],
}
// These know the whole service, so that nothing in it may know them.
const ROOTS = /^(main|start|service|config)\.ts$/
// What reaches out of the process, or holds what does.
const OUTWARD =
  /^(node:(fs|http|https|http2|net|tls|dns|child_process|process|timers|worker_threads)\b|@grpc\/|@nats-io\/|postgres$|pino$|@instatunnel\/kit\/(client|config|consumer|event|eviction|foundation|guard|hearing|jetstream|log|main|postgres|publisher|relay-routes|remote-auth|replicas|route-announcer|rules|server|status|tls|unary)$)/

describe('imports', () => {
  it('are looked at in every service', () => {
    expect(services).toEqual(expect.arrayContaining(['auth', 'keys', 'tunnels']))
    for (const service of services) {
      const read = sources.filter((source) => source.service === service)
      expect(read.flatMap(importsOf).length, service).toBeGreaterThan(50)
    }
  })

  it('flow one way: rpc to domain and store, events to domain and store, store to domain, domain to nothing', () => {
    expect(
      wrong((from, { room }) => {
        const allowed = rooms[room.split('/')[0] as string]
        return from.startsWith('.') && allowed !== undefined && !allowed.includes(dirname(join(room, from)))
      }),
    ).toEqual([])
  })

  it('of what knows the whole service are in such files only', () => {
    expect(
      wrong((from, { room, file }) => {
        const target = normalize(join(room, from))
        return from.startsWith('.') && ROOTS.test(target) && !ROOTS.test(file)
      }),
    ).toEqual([])
  })

  it('leave the domain pure', () => {
    const isNetworkName = (from: string) => from === 'node:net' // isIPv6 and its like are pure
    expect(
      wrong((from, { room }) => room.startsWith('domain') && OUTWARD.test(from) && !isNetworkName(from)),
    ).toEqual([])
  })

  it('reach no other service', () => {
    const name = new RegExp(`^@instatunnel/(${services.join('|')})(/|$)`)
    expect(wrong((from) => name.test(from))).toEqual([])
    expect(
      wrong((from, { room }) => from.startsWith('.') && normalize(join(room, from)).startsWith('..')),
    ).toEqual([])
  })

  it('reach no test and nothing that only runs locally', () => {
    const kit = sourcesOf('kit')
    expect(
      wrong((from) => /^(@instatunnel\/(test|local|gateway)|vitest)\b/.test(from), [...sources, ...kit]),
    ).toEqual([])
  })

  it('of NATS and Postgres are where they belong', () => {
    expect(
      wrong(
        (from, { room, file }) =>
          /^(@nats-io\/|@instatunnel\/kit\/(consumer|publisher)$)/.test(from) &&
          room !== 'events' &&
          file !== 'start.ts',
      ),
    ).toEqual([])
    expect(wrong((from, { room }) => from === 'postgres' && room !== 'store')).toEqual([])
  })

  it('lead from kit to no service', () => {
    const name = new RegExp(`^(@instatunnel/(${services.join('|')})(/|$)|\\.\\./\\.\\./)`)
    expect(wrong((from) => name.test(from), sourcesOf('kit'))).toEqual([])
  })
})

describe('the tree', () => {
  it('has SQL in stores only', () => {
    expect(having(/\b(sql|tx)(<[^`]*>)?`/, ({ room }) => !room.startsWith('store'))).toEqual([])
  })

  it('gives the domain its time and its randomness', () => {
    expect(
      having(/new Date\(\)|Date\.now\(|Math\.random\(|\brandom(Bytes|UUID|Int)\(/, ({ room }) =>
        room.startsWith('domain'),
      ),
    ).toEqual([])
  })

  // Half of libuv's threads may be hashing passwords, for 50 ms each: node:crypto without a callback needs none of them.
  it('verifies signatures and makes random numbers at once, never in the pool of threads', () => {
    const pooled = /\bsubtle\b|from 'jose'|\b(randomBytes|sign|verify|hkdf|scrypt|pbkdf2)\([^()]*=>/
    const kit = sourcesOf('kit').filter(({ text }) => pooled.test(text))
    expect([...having(pooled, () => true), ...kit.map(({ file }) => file)]).toEqual([])
  })

  it('reads the environment in main.ts only, through config.ts', () => {
    expect(having(/process\.env/, ({ file }) => file !== 'main.ts')).toEqual([])
    const kit = sourcesOf('kit').filter(({ text }) => text.includes('process.env'))
    expect(kit.map(({ file }) => file)).toEqual([])
  })

  it('has no index files and no drawers', () => {
    const odd = globSync('*/src/**/{index,utils,helpers,common,types}{.ts,/}', { cwd: SERVICES })
    expect(odd).toEqual([])
  })

  it("has every one of kit's subpaths in its README, and no other", () => {
    const readme = readFileSync(join(SERVICES, 'kit/README.md'), 'utf8')
    const named = [...readme.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, name]) => name)
    const subpaths = sourcesOf('kit').map(({ file }) => file.replace(/\.ts$/, ''))
    expect(named.sort()).toEqual(subpaths.sort())
  })

  it('has a test and a README in every service', () => {
    for (const service of services) {
      expect(globSync(`${service}/src/**/*.test.ts`, { cwd: SERVICES }).length, service).toBeGreaterThan(0)
      expect(globSync(`${service}/README.md`, { cwd: SERVICES }), service).toHaveLength(1)
    }
  })
})
