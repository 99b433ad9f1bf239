import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { portOrFree } from '@instatunnel/local/ports'
import { startLoad } from '../cores.ts'
import { programOnPath } from '../tools.ts'
import { waitForPort } from '../wait.ts'

const MIB = 1024 * 1024

/** What answers a small GET. */
export const smallBody = 'Hello from behind the tunnel.\n'
/** Large enough that starting a stream counts for nothing. */
const bulkBytes = 16 * MIB
/** Small enough that the uploads cut off at the end of a run count for little. */
const uploadBytes = 4 * MIB

/** The server that all tunnels lead to: nginx, far faster than any of them. */
export interface Target {
  readonly port: number
  readonly pid: number
  /** SHA-256 of what /bulk answers. */
  readonly bulkDigest: string
  stop(): Promise<void>
}

/** What the target can be asked: /digest answers with the SHA-256 of the body. */
export const asked = {
  small: { path: '/small', answerBytes: smallBody.length },
  download: { path: '/bulk', answerBytes: bulkBytes },
  upload: { path: '/upload', answerBytes: smallBody.length, uploadBytes },
  digest: { path: '/digest', answerBytes: 64, uploadBytes },
} as const

/** Starts it on a free port. */
export async function startTarget(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-bench-target-'))
  const bulk = randomBytes(bulkBytes)
  await writeFile(join(folder, 'bulk'), bulk)
  const digester = await startDigester()
  const port = await portOrFree(0)
  const digestPort = (digester.address() as AddressInfo).port
  await writeFile(join(folder, 'nginx.conf'), configuration({ folder, port, digestPort }))
  const nginx = await startLoad({
    name: 'nginx',
    command: (await programOnPath('nginx')) ?? 'nginx',
    args: ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'],
  })
  await waitForPort(port, nginx)
  return {
    port,
    pid: nginx.pid,
    bulkDigest: createHash('sha256').update(bulk).digest('hex'),
    async stop() {
      digester.close()
      await nginx.stop()
      await rm(folder, { recursive: true })
    },
  }
}

/** One process; connections stay for as long as a run lasts; an upload is read whole before it is answered. */
function configuration({ folder, port, digestPort }: { folder: string; port: number; digestPort: number }) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 1024; }
http {
  ${temporary.map((of) => `${of}_temp_path temp_${of};`).join(' ')}
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_header_timeout 1h;
  client_max_body_size 0;
  proxy_http_version 1.1;
  server {
    ${loopback()
      .map((address) => `listen ${isIPv6(address) ? `[${address}]` : address}:${port};`)
      .join(' ')}
    root ${folder};
    default_type application/octet-stream;
    location = /small { return 200 "${smallBody.trimEnd()}\\n"; }
    location = /bulk { }
    location = ${asked.upload.path} {
      client_body_buffer_size ${uploadBytes};
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://127.0.0.1:${port}/small;
    }
    location = ${asked.digest.path} {
      proxy_request_buffering off;
      proxy_pass http://127.0.0.1:${digestPort};
    }
  }
}
`
}

/** Some agents ask for "localhost", and get the IPv6 address first where there is one. */
const loopback = () =>
  (
    Object.values(networkInterfaces())
      .flat()
      .filter((each) => each?.internal) as { address: string }[]
  )
    .map(({ address }) => address)
    .filter((address) => address === '127.0.0.1' || address === '::1')

async function startDigester(): Promise<Server> {
  const server = createServer((request, response) => {
    const hash = createHash('sha256')
    request.on('data', (part) => hash.update(part)).on('end', () => response.end(hash.digest('hex')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
