import { readFileSync } from 'node:fs'

/** Of lib.dom, what stands here. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: object }
}

const module = new WebAssembly.Module(readFileSync(new URL('../gen/connection-limit.wasm', import.meta.url)))

/** The filter that Envoy runs, on as much of the proxy-wasm ABI as it uses; its connections come from where connect() is told. */
export function startFilter(connectionsPerAddress: number) {
  const shared = new Map<number, { value: Buffer; version: number }>()
  let address = ''
  let closed = false
  const memory = () => Buffer.from(exports.memory.buffer)
  const give = (bytes: Uint8Array, valueAt: number, sizeAt: number): 0 => {
    const at = exports.malloc(bytes.length)
    memory().set(bytes, at)
    memory().writeUInt32LE(at, valueAt)
    memory().writeUInt32LE(bytes.length, sizeAt)
    return 0
  }
  const keyAt = (at: number) => memory().readUInt32LE(at)
  const instance = new WebAssembly.Instance(module, {
    wasi_snapshot_preview1: {
      random_get: (at: number, size: number) => {
        crypto.getRandomValues(memory().subarray(at, at + size))
        return 0
      },
    },
    env: {
      proxy_get_property: (_path: number, _size: number, value: number, size: number) =>
        give(Buffer.from(address), value, size),
      proxy_get_shared_data: (key: number, _: number, value: number, size: number, version: number) => {
        const entry = shared.get(keyAt(key))
        if (!entry) return 1
        memory().writeUInt32LE(entry.version, version)
        return give(entry.value, value, size)
      },
      proxy_set_shared_data: (key: number, _: number, value: number, size: number, version: number) => {
        const entry = shared.get(keyAt(key))
        if (version !== 0 && entry?.version !== version) return 8
        const bytes = Buffer.from(memory().subarray(value, value + size))
        shared.set(keyAt(key), { value: bytes, version: (entry?.version ?? 0) + 1 })
        return 0
      },
      proxy_get_buffer_bytes: (_: number, _start: number, _length: number, value: number, size: number) =>
        give(Buffer.from(String(connectionsPerAddress)), value, size),
      proxy_close_stream: () => {
        closed = true
        return 0
      },
      proxy_define_metric: () => 0,
      proxy_increment_metric: () => 0,
      proxy_get_current_time_nanoseconds: () => 0,
      proxy_log: () => 0,
    },
  })
  const exports = instance.exports as unknown as {
    memory: { readonly buffer: ArrayBuffer }
    malloc(size: number): number
    proxy_on_vm_start(context: number, size: number): number
    proxy_on_configure(context: number, size: number): number
    proxy_on_new_connection(context: number): number
  }
  if (!exports.proxy_on_vm_start(1, 0) || !exports.proxy_on_configure(1, 4)) throw new Error('does not start')
  return {
    connect(from: string): 'open' | 'closed' {
      address = from
      closed = false
      exports.proxy_on_new_connection(2)
      return closed ? 'closed' : 'open'
    },
    keys: () => shared.size,
  }
}
