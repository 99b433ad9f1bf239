import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { contractFile } from './contract.ts'
import { invitePage } from './invite-page.ts'

/** Where each service's replicas are, as "host:port". With none the service is unavailable. */
export interface ServiceAddresses {
  auth: string[]
  /** Where auth's replicas are asked about calls: a port of its own. */
  check: string[]
  keys: string[]
  tunnels: string[]
  relay: string[]
}

/** PEM files; Envoy takes new ones that are moved in their place. */
export interface TlsFiles {
  certFile: string
  keyFile: string
  /** Who signs the other side's certificate: with it the other side must show one. */
  caFile?: string
}

/** What differs from one place to the other. */
export interface Place {
  /** Where clients connect to; all on one port. */
  addresses: readonly string[]
  /** 0 means any free one, of a single address. */
  port: number
  services: ServiceAddresses
  /** The hosts that the API answers on, without a port. */
  apiHosts: string[]
  /** The names below it are tunnels, but for those of apiHosts. */
  visitorDomain: string
  /** How many proxies of ours stand before Envoy, each appending to X-Forwarded-For. */
  trustedHops: number
  /** How many connections one address may have at a time, an IPv6 one's /64; 0 for no limit. Not counted behind proxies. */
  connectionsPerAddress: number
  /** mTLS to the services. */
  tls?: Required<TlsFiles>
  /** TLS towards clients. */
  downstreamTls?: TlsFiles
  /** The contract: the descriptor set that is put beside these files as descriptors.binpb. */
  descriptors: string
}

const modules = ['request', 'query', 'body', 'json', 'fields', 'errors', 'handshake', 'rows', 'shown_path']

/** The files that are the same everywhere; http.yaml is, but for two values. */
const constantFiles = ['envoy.yaml', ...modules.map((module) => `${module}.lua`)]

/** Everything that Envoy reads, by its name in the folder that Envoy runs in. */
export function gatewayFiles(place: Place): Record<string, string> {
  const invite = invitePage()
  return {
    ...Object.fromEntries(constantFiles.map((file) => [file, read(file)])),
    'contract.lua': contractFile(place.descriptors),
    'http.yaml': fill('http.yaml', { ...clientAddress(place.trustedHops), INTERIM_ANSWERS_PASS: true }),
    'continue.yaml': fill('http.yaml', { ...clientAddress(1), INTERIM_ANSWERS_PASS: false }),
    'place/listeners.yaml': fill('place/listeners.yaml', {
      ADDRESS: socketAddress(place.addresses[0] as string, place.port),
      ADDITIONAL_ADDRESSES: place.addresses
        .slice(1)
        .map((one) => ({ address: socketAddress(one, place.port) })),
      DOWNSTREAM_TLS: downstreamTls(place.downstreamTls),
      // Behind proxies of ours every connection is theirs.
      CONNECTIONS_PER_ADDRESS: String(place.trustedHops > 0 ? 0 : place.connectionsPerAddress),
      CONNECTION_LIMIT: readFileSync(join(import.meta.dirname, 'gen/connection-limit.wasm'), 'base64'),
    }),
    'place/routes.yaml': fill('place/routes.yaml', {
      API_HOSTS: place.apiHosts,
      VISITOR_HOSTS: [`*.${place.visitorDomain}`],
      INVITE_PAGE: { inline_string: invite.html },
      INVITE_POLICY: invite.policy,
    }),
    'place/clusters.yaml': clustersFile(place),
    ...secretFiles('downstream', place.downstreamTls),
    ...secretFiles('upstream', place.tls),
  }
}

/**
 * How the client's address is found where so many proxies of ours append to X-Forwarded-For. Envoy reads no entry with a
 * port, as Azure's gateways write them, and would take the proxy's own address for the client's
 * (https://github.com/envoyproxy/envoy/issues/25517): the entry that names the client loses port, brackets and quotes,
 * and those behind it become "-". An entry that is no address becomes empty, which Envoy does not read either. Where no
 * proxy is ours the header is the client's word, and goes.
 */
function clientAddress(trustedHops: number) {
  if (trustedHops === 0) return { TRUSTED_HOPS: 0, FORWARDED_FOR: { remove: 'x-forwarded-for' } }
  const entry = String.raw`\[([0-9a-fA-F:.]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9a-fA-F:.]+)`
  // It matches whatever there is, with nothing in its groups where that is no address. \x22 is a quote, which Envoy's
  // formats cannot hold; \C any byte, where a dot would be a character: a client may write bytes that are none.
  const pattern = String.raw`^(?:\C*,)?\s*\x22?(?:${entry})\x22?\s*(?:,[^,]*){${trustedHops - 1}}$|^\C*$`
  const header = "request.headers['x-forwarded-for']"
  // A pattern costs 0.1 ms a kilobyte: not for addresses alone, of IPv4 or of IPv6, nor for what is longer than any chain
  // of proxies writes; whose request that is, nobody says.
  const isOdd = String.raw`(H.contains(':') && H.contains('.') || H.contains(']') || H.contains('\x22'))`
  const behind = ',-'.repeat(trustedHops - 1)
  const plain = String.raw`(size(H) > 1024 ? '0.0.0.0${behind}' : re.extract(H, r'${pattern}', r'\1\2\3${behind}'))`
  const value = `%CEL(${`${isOdd} ? ${plain} : H`.replaceAll('H', header)})%`
  const append = {
    header: { key: 'x-forwarded-for', value },
    append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
    keep_empty_value: true,
  }
  return { TRUSTED_HOPS: trustedHops, FORWARDED_FOR: { append } }
}

/** The one file that changes when replicas come and go. */
export function clustersFile({ services, tls }: Pick<Place, 'services' | 'tls'>): string {
  return fill('place/clusters.yaml', {
    AUTH: endpoints(services.auth),
    CHECK: endpoints(services.check),
    KEYS: endpoints(services.keys),
    TUNNELS: endpoints(services.tunnels),
    RELAY: endpoints(services.relay),
    AUTH_TLS: upstreamTls('auth', tls),
    CHECK_TLS: upstreamTls('auth', tls),
    KEYS_TLS: upstreamTls('keys', tls),
    TUNNELS_TLS: upstreamTls('tunnels', tls),
    RELAY_TLS: upstreamTls('relay', tls),
  })
}

const read = (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8')

/** Puts values where the file says $NAME, as JSON, which is YAML too. */
function fill(file: string, values: Record<string, unknown>): string {
  return read(file).replace(/\$([A-Z_]+)/g, (_, name: string) => {
    if (!(name in values)) throw new Error(`${file} asks for ${name}, which nobody gives`)
    return JSON.stringify(values[name])
  })
}

function endpoints(addresses: string[]) {
  return addresses.map((address) => {
    const { hostname, port } = new URL(`http://${address}`)
    return { endpoint: { address: socketAddress(hostname.replace(/^\[|\]$/g, ''), Number(port || 80)) } }
  })
}

const socketAddress = (address: string, port_value: number) => ({ socket_address: { address, port_value } })

const tlsTypes = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3'

/** TLS towards clients, with a certificate that Envoy takes anew without a restart; null for none. */
function downstreamTls(files: TlsFiles | undefined) {
  if (!files) return null
  return tlsSocket('Downstream', {
    common_tls_context: {
      ...tlsContext('downstream', ['h2', 'http/1.1']),
      ...(files.caFile ? { validation_context_sds_secret_config: secretNamed('downstream-ca') } : {}),
    },
    require_client_certificate: Boolean(files.caFile),
  })
}

/** mTLS to a service, whose certificate must name it as services/kit/src/tls.ts asks of a caller's; null for none. */
function upstreamTls(service: keyof ServiceAddresses, files: TlsFiles | undefined) {
  if (!files) return null
  const names = [{ exact: service }, { prefix: `${service}.` }]
  return tlsSocket('Upstream', {
    sni: service,
    common_tls_context: {
      ...tlsContext('upstream', [service === 'relay' ? 'http/1.1' : 'h2']),
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: names.map((matcher) => ({ san_type: 'DNS', matcher })),
        },
        validation_context_sds_secret_config: secretNamed('upstream-ca'),
      },
    },
  })
}

const tlsContext = (certificate: string, alpn_protocols: string[]) => ({
  tls_params: { tls_minimum_protocol_version: 'TLSv1_2' },
  alpn_protocols,
  tls_certificate_sds_secret_configs: [secretNamed(certificate)],
})

const tlsSocket = (side: 'Downstream' | 'Upstream', context: object) => ({
  name: 'tls',
  typed_config: { '@type': `${tlsTypes}.${side}TlsContext`, ...context },
})

const secretNamed = (name: string) => ({
  name,
  sds_config: { resource_api_version: 'V3', path_config_source: { path: `place/${name}.yaml` } },
})

/** A file for each secret (https://www.envoyproxy.io/docs/envoy/latest/configuration/security/secret). */
function secretFiles(name: 'downstream' | 'upstream', files: TlsFiles | undefined): Record<string, string> {
  if (!files) return {}
  const file = (secret: string, content: object) => ({
    [`place/${secret}.yaml`]: JSON.stringify({
      resources: [{ '@type': `${tlsTypes}.Secret`, name: secret, ...content }],
    }),
  })
  const certificate_chain = { filename: files.certFile }
  const private_key = { filename: files.keyFile }
  return {
    ...file(name, { tls_certificate: { certificate_chain, private_key } }),
    ...(files.caFile
      ? file(`${name}-ca`, { validation_context: { trusted_ca: { filename: files.caFile } } })
      : {}),
  }
}
