import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** A network: its first address, in canonical form, and how many leading bits its addresses share. */
export interface Network {
  readonly address: string
  readonly prefix: number
}

// ::ffff:0:0/96 holds the IPv4 addresses (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX = 96
const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/**
 * The one way to write an address: IPv4 as four numbers, also where it is written as IPv6; IPv6 as RFC 5952 has it,
 * without a zone, which means something on one machine only. Undefined where the text is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text)) return undefined
  const zone = text.indexOf('%')
  const address = shortest(zone === -1 ? text : text.slice(0, zone))
  const [, high, low] = MAPPED.exec(address) ?? []
  if (high === undefined || low === undefined) return address
  return writeIpv4((BigInt(`0x${high}`) << 16n) | BigInt(`0x${low}`))
}

/**
 * An address as Envoy and Node write it, in canonical form: of theirs only IPv4 written as IPv6 is not, as a socket for
 * both families has it. What is no address stays as it is.
 */
export const unmappedAddress = (text: string): string =>
  text.startsWith('::') ? (canonicalAddress(text) ?? text) : text

/**
 * Reads a network in CIDR notation (RFC 4632); an address alone is a network of its own. IPv4 written as IPv6 is an IPv4
 * network. Undefined where the text is no network, also for IPv4 written as IPv6 with a length below 96: that would be a
 * network of IPv6 which holds all of IPv4.
 */
export function readNetwork(text: string): Network | undefined {
  const [written = '', length, ...rest] = text.split('/')
  const address = canonicalAddress(written)
  if (address === undefined || written.includes('%') || rest.length > 0) return undefined
  const longest = isIPv4(written) ? 32 : 128
  if (length !== undefined && !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined
  const given = length === undefined ? longest : Number(length)
  const prefix = isIPv4(address) && longest === 128 ? given - MAPPED_PREFIX : given
  return given > longest || prefix < 0 ? undefined : { address: firstAddress(address, prefix), prefix }
}

/** A network as it is kept: the same network is always written the same. Undefined where the text is no network. */
export function canonicalNetwork(text: string): string | undefined {
  const network = readNetwork(text)
  return network && `${network.address}/${network.prefix}`
}

/**
 * Tells whether an address lies in one of several networks. IPv4 written as IPv6 is IPv4, and families never cross: no
 * network of IPv6 holds an IPv4 address, ::/0 neither. Ranges that translate between them, like 64:ff9b::/96 and
 * 2002::/16, are IPv6. A network that cannot be read includes no address.
 */
export function createNetworks(networks: readonly string[]): { includes(address: string): boolean } {
  // A BlockList compares across the families: it gets the addresses of one.
  const [ipv4, ipv6] = [new BlockList(), new BlockList()]
  for (const network of networks.map(readNetwork)) {
    if (!network) continue
    const { address, prefix } = network
    if (isIPv4(address)) ipv4.addSubnet(address, prefix, 'ipv4')
    else ipv6.addSubnet(address, prefix, 'ipv6')
  }
  return {
    includes(text) {
      const address = canonicalAddress(text)
      if (address === undefined) return false
      return isIPv4(address) ? ipv4.check(address, 'ipv4') : ipv6.check(address, 'ipv6')
    },
  }
}

/** True where all addresses of a network lie in one of several others. */
export function isNetworkWithin(text: string, networks: readonly string[]): boolean {
  const inner = readNetwork(text)
  if (!inner) return false
  return networks.some((each) => {
    const outer = readNetwork(each)
    if (!outer || outer.prefix > inner.prefix || isIPv4(outer.address) !== isIPv4(inner.address)) return false
    return firstAddress(inner.address, outer.prefix) === outer.address
  })
}

/** The first address of the network that an address in canonical form lies in. */
function firstAddress(address: string, prefix: number): string {
  if (isIPv4(address)) return writeIpv4(cut(readIpv4(address), 32 - prefix))
  return writeIpv6(cut(readIpv6(address), 128 - prefix))
}

const cut = (bits: bigint, rest: number) => (bits >> BigInt(rest)) << BigInt(rest)

const readIpv4 = (address: string) =>
  address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)

const writeIpv4 = (bits: bigint) => [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.')

function readIpv6(address: string): bigint {
  const [head = '', tail = ''] = address.split('::')
  const [first, last] = [groupsOf(head), groupsOf(tail)]
  const zeros = Array<string>(8 - first.length - last.length).fill('0')
  return [...first, ...zeros, ...last].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

const groupsOf = (text: string) => (text === '' ? [] : text.split(':'))

function writeIpv6(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, n) => ((bits >> BigInt(112 - 16 * n)) & 0xffffn).toString(16))
  return shortest(groups.join(':'))
}

// The URL parser reads every spelling of IPv6, dotted tails too, and writes the one of RFC 5952
// (https://url.spec.whatwg.org/#concept-ipv6-serializer).
const shortest = (address: string) => new URL(`http://[${address}]/`).hostname.slice(1, -1)
