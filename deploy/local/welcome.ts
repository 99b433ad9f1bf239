import { join } from 'node:path'
import { defaultRegistration } from '@instatunnel/kit/registration'
import type { Config } from './config.ts'
import { repository } from './repository.ts'
import type { Stack } from './stack.ts'

/** What `npm start` says once all is up: where everything is, and a first walk that works when pasted. */
export function welcome(
  stack: Stack,
  { dataDir, domain, passedOn }: Pick<Config, 'dataDir' | 'domain' | 'passedOn'>,
): string {
  const { gateway, services, nats, postgres, logDir } = stack
  const { url, port } = gateway
  const grpc = services.filter(({ name }) => name !== 'relay')
  const relays = services.filter(({ name }) => name === 'relay')
  // It looks into this repository's data folder; elsewhere it has to be told.
  const cli =
    dataDir === join(repository, '.data') ? 'npx instatunnel' : `INSTATUNNEL_API=${url} npx instatunnel`
  const isOpen = (passedOn.REGISTRATION ?? defaultRegistration(domain)) === 'open'
  return `
InstaTunnel is up. Ctrl-C stops it; what it keeps stays.

REST       ${url}/v1
Tunnels    http://NAME.${domain}:${port}
gRPC
${grpc.map(({ name, address }) => `  ${name.padEnd(8)} ${address}`).join('\n')}
Relay      ${relays.map(({ address }) => address).join(', ')} (HTTP, for the gateway alone)
PostgreSQL ${postgres ? `127.0.0.1:${postgres.port}` : 'your own'}
NATS       ${nats ? `127.0.0.1:${nats.port}` : 'your own'}
Logs       ${logDir}

${isOpen ? firstWalk(url, cli) : invitedWalk(cli)}
More of it is in README.md.

ready ${url}
`
}

const firstWalk = (url: string, cli: string) => `Try it:

  api() {
    node -e 'const [method, path, body] = process.argv.slice(1)
      const headers = { "content-type": "application/json", authorization: "Bearer " + process.env.KEY }
      fetch("${url}" + path, { method, body, headers }).then(async (r) => console.log(await r.text()))' "$@"
  }
  export KEY=$(api POST /v1/auth/register '{"email":"me.'$(date +%s)'@example.com","password":"correct horse battery"}' |
    node -p 'JSON.parse(require("fs").readFileSync(0)).api_key')
  api POST /v1/tunnels '{"name":"my site","local_port":3000}'
  api GET /v1/tunnels
  api POST /v1/auth/keys '{"name":"CI","permissions":["tunnels:read"]}'

Put a port of yours under an address, with that account (or log in with one: ${cli} login):

INSTATUNNEL_API_KEY=$KEY ${cli} 3000
`

const invitedWalk = (
  cli: string,
) => `Not everybody may register here (REGISTRATION). INSTATUNNEL_ADMIN_EMAIL and
INSTATUNNEL_ADMIN_PASSWORD make an admin at start: log in as one, and invite others.

  ${cli} login
  ${cli} admin invite you@example.com

Put a port of yours under an address:

  ${cli} 3000
`
