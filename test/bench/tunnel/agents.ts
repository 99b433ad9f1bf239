import { runAgent } from '../../../cli/src/agent/agent.ts'

/** Agents before one local server, as many as there are tunnels: `agents.ts PORT TUNNEL_ID…` */
const [port, ...tunnelIds] = process.argv.slice(2)
const { INSTATUNNEL_API: api = '', INSTATUNNEL_API_KEY: credential = '' } = process.env
const leaving = new AbortController()
process.once('SIGTERM', () => leaving.abort())
let connected = 0
const ends = tunnelIds.map((tunnelId) =>
  runAgent({
    api,
    credential,
    tunnelId,
    port: Number(port),
    signal: leaving.signal,
    on({ kind }) {
      if (kind === 'connected' && ++connected === tunnelIds.length) console.log('connected')
    },
  }),
)
for (const end of await Promise.all(ends)) {
  if (end.kind !== 'stopped') throw new Error(JSON.stringify(end))
}
