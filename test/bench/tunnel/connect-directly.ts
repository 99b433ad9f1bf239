import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Loaded into the command: its agent connects to the relay itself, with what auth has said of it, as if the gateway
 * had brought it there. Its calls go to the gateway as ever.
 */
const { BENCH_RELAY, BENCH_CONNECT_HEADERS = '{}' } = process.env
const { request } = http

http.request = ((target: URL, options: http.RequestOptions) =>
  target.pathname.endsWith('/connect')
    ? request(new URL(target.pathname, BENCH_RELAY), {
        ...options,
        headers: { ...options.headers, ...JSON.parse(BENCH_CONNECT_HEADERS) },
      })
    : request(target, options)) as typeof request
syncBuiltinESMExports()
