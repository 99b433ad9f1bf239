// What Envoy lends a filter (https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1). The module that these are
// imported from is named after this file. Each returns 0 where it did what it was asked to.

/** Where `value` and `size` are written to: the address of four bytes each. */
export declare function proxy_get_property(path: usize, pathSize: usize, value: usize, size: usize): u32

/** `version` (four bytes) is another after every change. */
export declare function proxy_get_shared_data(
  key: usize,
  keySize: usize,
  value: usize,
  size: usize,
  version: usize,
): u32

/** Changes nothing where the value has another version by now; 0 is any. */
export declare function proxy_set_shared_data(
  key: usize,
  keySize: usize,
  value: usize,
  size: usize,
  version: u32,
): u32

export declare function proxy_get_buffer_bytes(
  buffer: u32,
  start: u32,
  length: u32,
  value: usize,
  size: usize,
): u32

export declare function proxy_close_stream(stream: u32): u32

export declare function proxy_define_metric(kind: u32, name: usize, nameSize: usize, metric: usize): u32

export declare function proxy_get_current_time_nanoseconds(time: usize): u32

export declare function proxy_log(level: u32, message: usize, size: usize): u32

export declare function proxy_increment_metric(metric: u32, by: i64): u32
