import type { Stack } from './stack.ts'

/** What `npm start` says once all is up: where everything is, and a first walk that works when pasted. */
export function welcome({ gateway, services, nats, postgres, logDir }: Stack): string {
  const { url } = gateway
  const grpc = services.map(({ name, address }) => `  ${name.padEnd(8)} ${address}`)
  return `
InstaTunnel is up. Ctrl-C stops it; what it keeps stays.

REST       ${url}/v1
gRPC
${grpc.join('\n')}
PostgreSQL ${postgres ? `127.0.0.1:${postgres.port}` : 'your own'}
NATS       ${nats ? `127.0.0.1:${nats.port}` : 'your own'}
Logs       ${logDir}

Try it:

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

More of it is in README.md.

ready ${url}
`
}
