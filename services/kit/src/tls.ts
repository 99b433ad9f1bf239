import { readFileSync } from 'node:fs'
import type { PeerCertificate } from 'node:tls'
import { type ChannelCredentials, credentials, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js'

/** How a service speaks gRPC: in clear on a network of its own, or by mutual TLS. */
export interface Transport {
  readonly server: ServerCredentials
  readonly client: ChannelCredentials
  /** The services that the caller's certificate names in its DNS SANs ("keys" or "keys.<anything>"); undefined in clear. */
  readonly certifiedOf: (call: ServerUnaryCall<unknown, unknown>) => readonly string[] | undefined
  /** The same for what is not gRPC; undefined in clear. */
  readonly files: TlsFiles | undefined
}

/** A service's certificate and key, and who signs those of the others, in PEM. */
export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer
}

/** Mutual TLS where TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE are set; setting some of them only is a fault. */
export function createTransport(options: {
  TLS_CERT_FILE?: string | undefined
  TLS_KEY_FILE?: string | undefined
  TLS_CA_FILE?: string | undefined
  services: readonly string[]
}): Transport {
  const { TLS_CERT_FILE, TLS_KEY_FILE, TLS_CA_FILE } = options
  if (!TLS_CERT_FILE && !TLS_KEY_FILE && !TLS_CA_FILE) {
    return {
      server: ServerCredentials.createInsecure(),
      client: credentials.createInsecure(),
      certifiedOf: () => undefined,
      files: undefined,
    }
  }
  if (!TLS_CERT_FILE || !TLS_KEY_FILE || !TLS_CA_FILE) {
    throw new Error('Settings: TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE go together')
  }
  const [cert, key, ca] = [TLS_CERT_FILE, TLS_KEY_FILE, TLS_CA_FILE].map((file) => readFileSync(file)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  return {
    server: ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true),
    client: credentials.createSsl(ca, key, cert),
    certifiedOf: (call) => servicesIn(call.getAuthContext().sslPeerCertificate, options.services),
    files: { cert, key, ca },
  }
}

/** Which of these services a certificate names in its DNS SANs. */
export function servicesIn(
  certificate: Pick<PeerCertificate, 'subjectaltname'> | undefined,
  services: readonly string[],
): string[] {
  const names = certificate?.subjectaltname?.split(', ') ?? []
  return services.filter((service) =>
    names.some((name) => name === `DNS:${service}` || name.startsWith(`DNS:${service}.`)),
  )
}
