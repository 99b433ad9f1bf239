import type { CreateTunnelResponse } from '@instatunnel/proto/tunnels/v1/tunnel_service'
import type { Api } from '../api.ts'
import type { Json } from '../calls/json.ts'
import { CREATED_SHAPE, findTunnel, type Tunnel } from '../calls/tunnels.ts'
import { ApiError } from '../exit.ts'

/** The tunnel that a command carries, for as long as it runs. */
export interface Claim {
  readonly tunnel: Tunnel
  /** Makes it anew where the API has let it go meanwhile, under the same name if that is free; undefined where it is no such tunnel. */
  renew(): Promise<Claim | undefined>
  /** Lets it go where it was made for this command alone. */
  release(): Promise<void>
}

/** What was asked for on the command line. */
export interface Wanted {
  readonly port: number
  readonly subdomain?: string | undefined
  readonly name?: string | undefined
  /** How many seconds the local server may take to answer; 0 for no limit. */
  readonly responseTimeout?: number | undefined
}

/** A farewell is no reason to wait. */
const RELEASE_MS = 3000

/**
 * The account's tunnel with the subdomain that was asked for, made where there is none and changed where port or name
 * are others; where none was asked for, one that goes when the command ends, so that no run uses up the plan.
 */
export async function claimTunnel(api: Api, wanted: Wanted, note: (line: string) => void): Promise<Claim> {
  const { port, subdomain, name, responseTimeout: response_timeout } = wanted
  if (subdomain === undefined)
    return ephemeral(api, { name: name ?? `Port ${port}`, local_port: port, response_timeout })
  const found = await findOwn(api, subdomain)
  if (found === undefined) {
    const fields = { name: name ?? subdomain, subdomain, local_port: port, response_timeout }
    const own = await create(api, fields).catch(async (error) => {
      // Another command of the same account's may have made it just now.
      const theirs = isTaken(error) ? await findOwn(api, subdomain) : undefined
      if (theirs === undefined) throw error
      return theirs
    })
    return lasting(own)
  }
  const changes = {
    ...(found.local_port === port ? {} : { local_port: port }),
    ...(name === undefined || found.name === name ? {} : { name }),
    ...(response_timeout === undefined || found.response_timeout === response_timeout
      ? {}
      : { response_timeout }),
  }
  if (Object.keys(changes).length > 0) {
    // Not waited for: the tunnel carries traffic whatever the API remembers of it.
    api
      .call('PATCH', `/v1/tunnels/${encodeURIComponent(found.id)}`, { body: changes })
      .catch((error: Error) => note(`What is new about the tunnel is not remembered: ${error.message}`))
  }
  return lasting({ ...found, ...changes })
}

const lasting = (tunnel: Tunnel): Claim => ({
  tunnel,
  renew: async () => undefined,
  release: async () => {},
})

async function ephemeral(
  api: Api,
  fields: { name: string; local_port: number; response_timeout: number | undefined },
): Promise<Claim> {
  const made = async (subdomain?: string): Promise<Claim> => {
    const tunnel = await create(api, { ...fields, subdomain, ephemeral: true })
    return {
      tunnel,
      renew: () =>
        made(tunnel.subdomain).catch((error) => {
          if (isTaken(error)) return made()
          throw error
        }),
      release: async () => {
        const signal = AbortSignal.timeout(RELEASE_MS)
        // Where this does not work, the API lets it go by itself, five minutes after its agent.
        await api.call('DELETE', `/v1/tunnels/${encodeURIComponent(tunnel.id)}`, { signal }).catch(() => {})
      },
    }
  }
  return made()
}

const isTaken = (error: unknown) => error instanceof ApiError && error.answer.error === 'subdomain_taken'

/** A credential that may not list tunnels may make one all the same. */
const findOwn = (api: Api, subdomain: string): Promise<Tunnel | undefined> =>
  findTunnel(api, subdomain).catch((error) => {
    if (error instanceof ApiError && error.answer.required_scope !== undefined) return undefined
    throw error
  })

async function create(api: Api, body: object): Promise<Tunnel> {
  const answer: Json<CreateTunnelResponse> = await api.call('POST', '/v1/tunnels', {
    body,
    shape: CREATED_SHAPE,
  })
  return answer.tunnel
}
