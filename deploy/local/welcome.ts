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

  email="me-$(date +%s)@example.com"
  key=$(curl -s ${url}/v1/auth/register -H 'Content-Type: application/json' \\
    -d '{"email":"'$email'","password":"correct horse battery"}' | grep -o '"api_key": *"[^"]*"' | cut -d'"' -f4)
  curl -s ${url}/v1/tunnels -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \\
    -d '{"name":"my site","local_port":3000}'
  curl -s ${url}/v1/tunnels -H "Authorization: Bearer $key"
  curl -s ${url}/v1/auth/keys -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \\
    -d '{"name":"CI","permissions":["tunnels:read"]}'

ready ${url}
`
}
