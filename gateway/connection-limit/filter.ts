// Counts the connections of each client address and closes those past the limit, before TLS and HTTP cost anything. Envoy
// has no filter that does. It is AssemblyScript, compiled to WebAssembly by `npm run generate`, and runs in each of Envoy's
// threads; the counts are in Envoy's shared data, which outlives threads and changes of settings.
// The functions that Envoy calls: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1
import { clientOf } from './address'
import {
  proxy_close_stream,
  proxy_define_metric,
  proxy_get_buffer_bytes,
  proxy_get_current_time_nanoseconds,
  proxy_get_property,
  proxy_get_shared_data,
  proxy_increment_metric,
  proxy_log,
  proxy_set_shared_data,
} from './env'
import { random_get } from './wasi_snapshot_preview1'

/**
 * Counts are kept by a hash of the address, so that strangers cannot make memory grow: of 50,000 connections at most 50
 * counts are full, and one address in 300 shares one of those.
 */
const countBits = 14

const continued: u32 = 0
const downstream: u32 = 2
const pluginConfiguration: u32 = 7

/** Where Envoy writes what it gives: each answer is used before the next is asked for. */
const scratch = memory.data(256)
const found = memory.data(4)
const foundSize = memory.data(4)
const version = memory.data(4)
const key = memory.data(4)
const count = memory.data(4)
/** Four numbers that strangers do not know, so that whose counts are one is chance. */
const secret = memory.data(32)
const metric = memory.data(4)
const time = memory.data(8)

/** The words that Envoy is told, a byte a letter. */
const words = memory.data(256)

const counter: u32 = 0
const warning: u32 = 3
const minute: u64 = 60_000_000_000

let limit: u32 = 0
/** When this thread last said that it closes connections, in nanoseconds. */
let saidAt: u64 = 0

export function proxy_abi_version_0_2_1(): void {}
export function proxy_on_context_create(_context: u32, _parent: u32): void {}
export function proxy_on_done(_context: u32): bool {
  return true
}
export function proxy_on_delete(_context: u32): void {}

export function malloc(size: usize): usize {
  return size <= 256 ? scratch : 0
}

/** Envoy's main thread is here first and alone, so that no count is made twice. */
export function proxy_on_vm_start(_context: u32, _size: u32): bool {
  store<u32>(key, u32.MAX_VALUE)
  if (proxy_get_shared_data(key, 4, found, foundSize, version) === 0) {
    memory.copy(secret, load<u32>(found), 32)
    return true
  }
  if (random_get(secret, 32) !== 0) return false
  store<u32>(count, 0)
  for (let i: u32 = 0; i < 1 << countBits; i++) {
    store<u32>(key, i)
    if (proxy_set_shared_data(key, 4, count, 4, 0) !== 0) return false
  }
  store<u32>(key, u32.MAX_VALUE)
  return proxy_set_shared_data(key, 4, secret, 32, 0) === 0
}

/** The configuration is the limit in decimal digits; 0 is none. */
export function proxy_on_configure(_context: u32, size: u32): bool {
  if (proxy_get_buffer_bytes(pluginConfiguration, 0, size, found, foundSize) !== 0) return false
  limit = 0
  for (let i: u32 = 0; i < load<u32>(foundSize); i++)
    limit = limit * 10 + (load<u8>(load<u32>(found) + i) - 0x30)
  return proxy_define_metric(counter, words, write('closed_connections', words), metric) === 0
}

export function proxy_on_new_connection(_context: u32): u32 {
  if (changeCount(1) > limit && limit > 0) {
    proxy_increment_metric(load<u32>(metric), 1)
    say()
    proxy_close_stream(downstream)
  }
  return continued
}

/** Of each connection, also of one that was closed at once. */
export function proxy_on_downstream_connection_close(_context: u32, _peer: u32): void {
  changeCount(-1)
}

/** Once a minute, with the address that it happened to. */
function say(): void {
  proxy_get_current_time_nanoseconds(time)
  if (load<u64>(time) - saidAt < minute || !findAddress()) return
  saidAt = load<u64>(time)
  const size = write('an address has more than CONNECTIONS_PER_ADDRESS, closed: ', words)
  memory.copy(words + size, load<u32>(found), load<u32>(foundSize))
  proxy_log(warning, words, size + load<u32>(foundSize))
}

/** Whether Envoy says whose connection it is, at `found`. */
function findAddress(): bool {
  return proxy_get_property(words, write('source\0address', words), found, foundSize) === 0
}

/** Its length. */
function write(text: string, at: usize): u32 {
  for (let i = 0; i < text.length; i++) store<u8>(at + i, <u8>text.charCodeAt(i))
  return text.length
}

/**
 * Which count is the client's. Each step hides the one before: from those of one's own addresses that share a count, it
 * does not follow which of them shares another's (the finaliser of MurmurHash3, with secrets for its constants).
 */
function countOf(client: u64): u32 {
  let hash = client ^ load<u64>(secret)
  hash = (hash ^ (hash >> 33)) * (load<u64>(secret + 8) | 1)
  hash = (hash ^ (hash >> 29)) * (load<u64>(secret + 16) | 1)
  hash = (hash ^ (hash >> 32)) * (load<u64>(secret + 24) | 1)
  return <u32>(hash >> (64 - countBits))
}

/** The connections of this one's address after the change; 0 where Envoy does not say whose it is. */
function changeCount(by: i32): u32 {
  if (!findAddress()) return 0
  const client = clientOf(load<u32>(found), load<u32>(foundSize))
  store<u32>(key, countOf(client))
  while (proxy_get_shared_data(key, 4, found, foundSize, version) === 0) {
    const now = load<u32>(load<u32>(found)) + by
    store<u32>(count, now)
    if (proxy_set_shared_data(key, 4, count, 4, load<u32>(version)) === 0) return now
    // Another thread has changed it in between.
  }
  return 0
}
