import { CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'

/** What the gateway's Envoy sends with each Check. */
export const checkHeaders = {
  ':method': 'POST',
  ':scheme': 'http',
  ':path': '/envoy.service.auth.v3.Authorization/Check',
  ':authority': 'check',
  te: 'trailers',
  'grpc-timeout': '2000m',
  'content-type': 'application/grpc',
  'x-envoy-expected-rq-timeout-ms': '2000',
} as const

/** A Check as the gateway's Envoy asks it about GET /v1/tunnels with this bearer, field by field. */
export function checkRequest(bearer: string): Buffer {
  const local = (port: number) => ({
    address: {
      address: {
        $case: 'socketAddress' as const,
        value: { address: '127.0.0.1', portSpecifier: { $case: 'portValue' as const, value: port } },
      },
    },
  })
  const request = CheckRequest.fromPartial({
    attributes: {
      source: local(55_412),
      destination: local(8080),
      request: {
        time: new Date('2026-01-01T00:00:00.632Z'),
        http: {
          id: '9074744207408571539',
          method: 'GET',
          headers: { 'x-envoy-external-address': '127.0.0.1', authorization: `Bearer ${bearer}` },
          path: '/v1/tunnels',
          host: 'localhost',
          scheme: 'http',
          protocol: 'HTTP/1.1',
        },
      },
      metadataContext: {},
      routeMetadataContext: {},
    },
  })
  return Buffer.from(CheckRequest.encode(request).finish())
}
