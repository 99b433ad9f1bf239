import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from './config.ts'
import { portOrFree } from './ports.ts'
import { choosePorts } from './stack-ports.ts'

const free = Object.fromEntries(
  ['', 'AUTH_', 'KEYS_', 'TUNNELS_', 'NATS_', 'POSTGRES_'].map((part) => [`INSTATUNNEL_${part}PORT`, '0']),
)
const choose = (settings: Record<string, string>) => choosePorts(readConfig({ ...free, ...settings }))

describe('choosePorts', () => {
  it('gives each part and replica a port of its own', async () => {
    const { gateway, nats, postgres, services, check } = await choose({ INSTATUNNEL_REPLICAS: '2' })
    const all = [gateway, nats, postgres, ...Object.values(services).flat(), ...check]
    expect(all).toHaveLength(13)
    expect(new Set(all).size).toBe(13)
    expect(all).not.toContain(0)
  })

  it('refuses one port for two settings, and names both', async () => {
    const port = String(await portOrFree(0))
    await expect(choose({ INSTATUNNEL_PORT: port, INSTATUNNEL_KEYS_PORT: port })).rejects.toThrow(
      `INSTATUNNEL_PORT and INSTATUNNEL_KEYS_PORT are one port, ${port}.`,
    )
  })

  it('does not mind the port of a server that it does not start', async () => {
    const port = String(await portOrFree(0))
    const own = { DATABASE_URL: 'postgres://db', NATS_URL: 'nats://nats' }
    const ports = { INSTATUNNEL_PORT: port, INSTATUNNEL_NATS_PORT: port, INSTATUNNEL_POSTGRES_PORT: port }
    expect((await choose({ ...own, ...ports })).gateway).toBe(Number(port))
  })

  it('names every setting whose port is taken', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void taken.close())
    const { port } = taken.address() as AddressInfo
    await expect(choose({ INSTATUNNEL_NATS_PORT: String(port) })).rejects.toThrow(
      `Already in use: INSTATUNNEL_NATS_PORT (${port}).`,
    )
  })
})
