import http from 'node:http'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Loaded into an agent's process: it connects to the relay itself, with what auth has said of it, as if
 * the gateway had brought it there.
 */
const { BENCH_RELAY, BENCH_CONNECT_HEADERS = '{}' } = process.env
const { request } = http

http.request = ((target: URL, options: http.RequestOptions) =>
  request(new URL(target.pathname, BENCH_RELAY), {
    ...options,
    headers: { ...options.headers, ...JSON.parse(BENCH_CONNECT_HEADERS) },
  })) as typeof request
syncBuiltinESMExports()
