import type { Config } from './config.ts'
import { isFreeEverywhere, portOrFree } from './ports.ts'
import { type ServiceName, serviceNames, storingServices } from './service-names.ts'

/** Every port of a stack, none of them 0. */
export interface StackPorts {
  gateway: number
  nats: number
  postgres: number
  /** One for each replica. */
  services: Record<ServiceName, number[]>
  /** Where each replica of auth answers the gateway. */
  check: number[]
}

/** Chooses the ports before anything is started; stops with the settings whose ports are taken, or are one. */
export async function choosePorts(config: Config): Promise<StackPorts> {
  const wanted: [setting: string, port: number][] = [
    ['INSTATUNNEL_PORT', config.gatewayPort],
    ...storingServices.map((name): [string, number] => [
      `INSTATUNNEL_${name.toUpperCase()}_PORT`,
      config.servicePorts[name],
    ]),
    ['INSTATUNNEL_NATS_PORT', config.natsUrl ? 0 : config.natsPort],
    ['INSTATUNNEL_POSTGRES_PORT', config.databaseUrl ? 0 : config.postgresPort],
  ]
  await refuseUnusable(wanted.filter(([, port]) => port !== 0))

  const chosen = new Map<string, number>()
  for (const [setting, port] of wanted) chosen.set(setting, await portOrFree(port))
  const portOf = (setting: string) => chosen.get(setting) as number
  const services: StackPorts['services'] = { auth: [], keys: [], tunnels: [], relay: [] }
  for (const name of storingServices) services[name].push(portOf(`INSTATUNNEL_${name.toUpperCase()}_PORT`))
  for (const name of serviceNames) {
    while (services[name].length < config.replicas) services[name].push(await portOrFree(0))
  }
  const check: number[] = []
  while (check.length < config.replicas) check.push(await portOrFree(0))
  return {
    gateway: portOf('INSTATUNNEL_PORT'),
    nats: portOf('INSTATUNNEL_NATS_PORT'),
    postgres: portOf('INSTATUNNEL_POSTGRES_PORT'),
    services,
    check,
  }
}

async function refuseUnusable(named: [setting: string, port: number][]): Promise<void> {
  const other = 'Name other ports, or 0 for any free one.'
  for (const [port, settings] of Map.groupBy(named, ([, port]) => port)) {
    if (settings.length > 1) {
      throw new Error(`${settings.map(([setting]) => setting).join(' and ')} are one port, ${port}. ${other}`)
    }
  }
  const taken: string[] = []
  for (const [setting, port] of named) if (!(await isFreeEverywhere(port))) taken.push(`${setting} (${port})`)
  if (taken.length > 0) throw new Error(`Already in use: ${taken.join(', ')}. ${other}`)
}
