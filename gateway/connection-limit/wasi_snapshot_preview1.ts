// What Envoy lends a filter of WASI (https://github.com/WebAssembly/WASI). The module is named after this file.

export declare function random_get(buffer: usize, size: usize): u32
