import { isIPv4 } from 'node:net'
import { readNetwork } from '@instatunnel/kit/network'

// ::ffff:0:0/96 holds IPv4 (RFC 4291, 2.5.5.2).
const MAPPED = 0xffffn << 32n
const MAPPED_PREFIX = 96

/**
 * A network as it is kept: its first address, shortest form (RFC 5952), and how many bits of it count, so that the same
 * network is always written the same. IPv4 written as IPv6 is IPv4. Undefined where the text is none.
 */
export function canonicalNetwork(text: string): string | undefined {
  const network = readNetwork(text)
  if (!network) return undefined
  const { address, prefix } = network
  if (isIPv4(address)) return writeIpv4(cut(readIpv4(address), prefix, 32), prefix)
  const bits = readIpv6(address)
  if (prefix >= MAPPED_PREFIX && bits >> 32n === MAPPED >> 32n) {
    const length = prefix - MAPPED_PREFIX
    return writeIpv4(cut(bits & 0xffff_ffffn, length, 32), length)
  }
  return writeIpv6(cut(bits, prefix, 128), prefix)
}

const cut = (bits: bigint, prefix: number, width: number) => {
  const rest = BigInt(width - prefix)
  return (bits >> rest) << rest
}

const readIpv4 = (address: string) =>
  address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)

function writeIpv4(bits: bigint, prefix: number): string {
  const parts = [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn)
  return `${parts.join('.')}/${prefix}`
}

function readIpv6(address: string): bigint {
  const [head = '', tail = ''] = shortest(address).split('::')
  const [first, last] = [groupsOf(head), groupsOf(tail)]
  const zeros = Array<string>(8 - first.length - last.length).fill('0')
  return [...first, ...zeros, ...last].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

const groupsOf = (text: string) => (text === '' ? [] : text.split(':'))

function writeIpv6(bits: bigint, prefix: number): string {
  const groups = Array.from({ length: 8 }, (_, n) => ((bits >> BigInt(112 - 16 * n)) & 0xffffn).toString(16))
  return `${shortest(groups.join(':'))}/${prefix}`
}

// The WHATWG's serializer writes an IPv6 address as RFC 5952 does, and never with dots.
const shortest = (address: string) => new URL(`http://[${address}]/`).hostname.slice(1, -1)
