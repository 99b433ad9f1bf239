import { setMaxListeners } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { maxConnections, refuseTooFewConnections } from './connections.ts'
import { openDatabases } from './databases.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { type Nats, startNats } from './nats.ts'
import { type Postgres, startPostgres } from './postgres.ts'
import { describeExit, type RunningProcess } from './process.ts'
import { recordOf } from './record-of.ts'
import { openSecrets, type Secrets } from './secrets.ts'
import { type Service, startService } from './service.ts'
import { serviceEnvironment } from './service-environment.ts'
import { type ServiceName, type StoringService, serviceNames, storingServices } from './service-names.ts'
import { choosePorts } from './stack-ports.ts'

/** The whole platform as it runs, with a handle on each part. */
export interface Stack {
  readonly gateway: Gateway
  /** Every replica of every service. */
  readonly services: readonly Service[]
  service(name: ServiceName, replica?: number): Service
  /** Absent where the user gave a server of their own. */
  readonly postgres: Postgres | undefined
  readonly nats: Nats | undefined
  readonly secrets: Secrets
  readonly databaseUrls: Readonly<Record<StoringService, string>>
  /** The folder of every child's log. */
  readonly logDir: string
  /** Where each replica of auth answers the gateway, as "host:port". */
  readonly checkAddresses: readonly string[]
  /** Every child as it runs now. */
  processes(): RunningProcess[]
  /** Stops everything, the front door first. */
  stop(): Promise<void>
}

/** What to start. */
export interface StackOptions {
  config: Config
  /** Added to a service's environment. */
  env?: Partial<Record<ServiceName, Record<string, string>>>
  /** false leaves out every fsync of the database: for data that is thrown away. */
  durable?: boolean
  /** Ends a start that is under way: what was started is stopped, and the start rejects. */
  signal?: AbortSignal
}

/** Starts everything in order and resolves once the whole chain answers. A start that fails leaves nothing behind. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const closing = new AsyncDisposableStack()
  try {
    return await open(options, closing)
  } catch (error) {
    await closing.disposeAsync()
    throw error
  }
}

async function open(options: StackOptions, closing: AsyncDisposableStack): Promise<Stack> {
  const { config, durable } = options
  const { dataDir } = config
  const broken = new AbortController()
  const signal = AbortSignal.any([broken.signal, ...(options.signal ? [options.signal] : [])])
  setMaxListeners(0, signal) // each replica that starts
  /** Stops the part when all is stopped; where it dies before all is up, the start ends with its last words. */
  const stoppable = <T extends Part>(part: T) => {
    closing.defer(async () => {
      await part.stop()
    })
    const running = part.process()
    running.exited.then((exit) =>
      broken.abort(new Error(`${running.name} ${describeExit(exit)}:\n${running.lines().join('\n')}`)),
    )
    return part
  }

  const ports = await choosePorts(config)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  if (config.databaseUrl) await refuseTooFewConnections(config.databaseUrl, config)
  const [secrets, postgres, nats] = await all([
    openSecrets(dataDir),
    config.databaseUrl
      ? undefined
      : startPostgres({
          dataDir,
          port: ports.postgres,
          durable,
          maxConnections: maxConnections(config),
        }).then(stoppable),
    config.natsUrl ? undefined : startNats({ dataDir, port: ports.nats }).then(stoppable),
  ])
  signal.throwIfAborted()
  const databaseUrls = postgres
    ? await openDatabases({ dataDir, adminUrl: postgres.url })
    : recordOf(storingServices, () => config.databaseUrl as string)

  const addresses = recordOf(serviceNames, (name) => ports.services[name].map((port) => `127.0.0.1:${port}`))
  const check = ports.check.map((port) => `127.0.0.1:${port}`)
  const surroundings = {
    config,
    secrets,
    databaseUrls,
    natsUrl: config.natsUrl ?? (nats as Nats).url,
    natsSeeds: nats?.seeds ?? {},
    addresses,
    publicUrl: `http://${config.domain}:${ports.gateway}`,
  }
  const logDir = join(dataDir, 'logs')
  const failed = (error: Error): never => {
    broken.abort(error)
    throw signal.reason // the first: the others were given up for it
  }
  // All at once: they wait for one another where they must. One that fails ends the wait for the others.
  const services = await all(
    serviceNames.flatMap((name) => {
      const told = { ...serviceEnvironment(name, surroundings), ...options.env?.[name] }
      return ports.services[name].map((port, replica) => {
        const env = name === 'auth' ? { ...told, CHECK_LISTEN: check[replica] as string } : told
        return startService({ name, replica, port, env, logDir, signal }).then(stoppable, failed)
      })
    }),
  )
  signal.throwIfAborted()

  const gateway = stoppable(
    await startGateway({
      dataDir,
      domain: config.domain,
      port: ports.gateway,
      services: { ...addresses, check },
      trustedHops: config.trustedHops,
      connectionsPerAddress: config.connectionsPerAddress,
    }),
  )
  await gateway.healthy(signal)
  signal.throwIfAborted()

  return {
    gateway,
    services,
    service: (name, replica = 0) => {
      const found = services.find((service) => service.name === name && service.replica === replica)
      if (!found) throw new Error(`there is no replica ${replica} of ${name}`)
      return found
    },
    postgres,
    nats,
    secrets,
    databaseUrls,
    logDir,
    checkAddresses: check,
    processes: () => [gateway, ...services, nats, postgres].flatMap((part) => (part ? [part.process()] : [])),
    stop: () => closing.disposeAsync(),
  }
}

interface Part {
  process(): RunningProcess
  stop(): Promise<unknown>
}

/** Promise.all that waits for every one even when one fails: what came up must be known before it is stopped. */
async function all<T extends readonly unknown[]>(
  parts: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(parts)
  return Promise.all(parts)
}
