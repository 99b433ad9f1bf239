import type { Config } from './config.ts'
import { isFree, portOrFree } from './ports.ts'
import { type ServiceName, serviceNames } from './service-names.ts'

/** Every port of a stack, none of them 0. */
export interface StackPorts {
  gateway: number
  nats: number
  postgres: number
  /** One for each replica. */
  services: Record<ServiceName, number[]>
}

/** Chooses the ports before anything is started; stops with the settings whose ports are taken. */
export async function choosePorts(config: Config): Promise<StackPorts> {
  const taken: string[] = []
  const choose = async (setting: string, port: number, wanted = true) => {
    if (wanted && port !== 0 && !(await isFree(port))) taken.push(`${setting} (${port})`)
    return portOrFree(port)
  }
  const ports: StackPorts = {
    gateway: await choose('INSTATUNNEL_PORT', config.gatewayPort),
    nats: await choose('INSTATUNNEL_NATS_PORT', config.natsPort, !config.natsUrl),
    postgres: await choose('INSTATUNNEL_POSTGRES_PORT', config.postgresPort, !config.databaseUrl),
    services: { auth: [], keys: [], tunnels: [] },
  }
  for (const name of serviceNames) {
    ports.services[name].push(
      await choose(`INSTATUNNEL_${name.toUpperCase()}_PORT`, config.servicePorts[name]),
    )
    while (ports.services[name].length < config.replicas) ports.services[name].push(await portOrFree(0))
  }
  if (taken.length === 0) return ports
  throw new Error(`Already in use: ${taken.join(', ')}. Name other ports, or 0 for any free one.`)
}
