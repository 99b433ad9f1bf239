/** One row of the REST error table. */
export interface ErrorRow {
  /** HTTP status. */
  readonly http: number
  /** The number in the body's `code`. */
  readonly code: number
  /** The canonical gRPC code; absent where only the gateway or the relay answers so. */
  readonly grpc?: GrpcCode
}

/** The canonical gRPC codes that the table uses, by name (AIP-193). */
export type GrpcCode =
  | 'INVALID_ARGUMENT'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'ABORTED'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'INTERNAL'
  | 'UNIMPLEMENTED'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'

/** The one error table: what the body's `error` says → HTTP status, `code` and gRPC code. */
export const errors = {
  validation_error: { http: 400, code: 4000, grpc: 'INVALID_ARGUMENT' },
  unauthorized: { http: 401, code: 4001, grpc: 'UNAUTHENTICATED' },
  forbidden: { http: 403, code: 4003, grpc: 'PERMISSION_DENIED' },
  not_found: { http: 404, code: 4004, grpc: 'NOT_FOUND' },
  request_timeout: { http: 408, code: 4008 },
  subdomain_taken: { http: 400, code: 4009, grpc: 'ALREADY_EXISTS' },
  conflict: { http: 409, code: 4010, grpc: 'ALREADY_EXISTS' },
  plan_limit: { http: 403, code: 4013, grpc: 'FAILED_PRECONDITION' },
  payload_too_large: { http: 413, code: 4014 },
  unsupported_media_type: { http: 415, code: 4015 },
  rate_limited: { http: 429, code: 4029, grpc: 'RESOURCE_EXHAUSTED' },
  usage_exceeded: { http: 429, code: 4030, grpc: 'RESOURCE_EXHAUSTED' },
  headers_too_large: { http: 431, code: 4031 },
  internal: { http: 500, code: 5000, grpc: 'INTERNAL' },
  unimplemented: { http: 501, code: 5001, grpc: 'UNIMPLEMENTED' },
  tunnel_offline: { http: 502, code: 5002 },
  unavailable: { http: 503, code: 5003, grpc: 'UNAVAILABLE' },
  timeout: { http: 504, code: 5004, grpc: 'DEADLINE_EXCEEDED' },
} as const satisfies Record<string, ErrorRow>

/** The name of a row: what the body's `error` says. */
export type ErrorName = keyof typeof errors
