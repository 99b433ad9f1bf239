import { fileURLToPath } from 'node:url'
import { startLoad } from './cores.ts'

/** Where to send requests: a port of the loopback address, and the name asked for. */
export interface Place {
  readonly port: number
  readonly host: string
}

/** One request as it is sent over and over, and the size of the body that answers it. */
export interface Load {
  readonly path: string
  readonly answerBytes: number
  /** Size of the body to post; a GET without. */
  readonly uploadBytes?: number
  /** Sent with each request. */
  readonly authorization?: string
}

/** What a run of load met. */
export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  /** Received, heads included. */
  readonly bytes: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const script = fileURLToPath(new URL('./wrk.lua', import.meta.url))

/** Above the slowest request of a run that works, a bulk download through the slowest tunnel. */
const timeoutSeconds = 30
/** No answer of the target has a longer head. */
const headBytesMax = 2048

/** Sends it over so many connections with wrk. Any answer but the right one, by status or size, ends the run. */
export async function applyLoad(
  place: Place,
  { path, answerBytes, uploadBytes, authorization = '' }: Load,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<LoadResult> {
  const wrk = await startLoad({
    name: 'wrk',
    command: 'wrk',
    args: [
      ...['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', `${timeoutSeconds}s`],
      ...['-s', script, '-H', `Host: ${place.host}`, `http://127.0.0.1:${place.port}${path}`],
      ...(uploadBytes ? ['--', `${uploadBytes}`] : []),
    ],
    env: { BENCH_AUTHORIZATION: authorization },
  })
  const { code } = await wrk.exited
  const told = wrk.lines().findLast((line) => line.startsWith('{'))
  const failed = (why: string) => new Error(`${path} of ${place.host}: ${why}\n${wrk.lines().join('\n')}`)
  if (code !== 0 || !told) throw failed('wrk failed')

  const { requests, microseconds, bytes, p50Us, p99Us, errors } = JSON.parse(told)
  if (errors > 0) throw failed('requests failed')
  if (bytes === 0) throw failed('nothing was answered')
  const sizeMin = requests * answerBytes
  const sizeMax = (requests + connections) * (answerBytes + headBytesMax)
  if (bytes < sizeMin || bytes > sizeMax) throw failed(`${bytes} bytes for ${requests} answers`)
  return { requests, seconds: microseconds / 1e6, bytes, p50Ms: p50Us / 1000, p99Ms: p99Us / 1000 }
}
