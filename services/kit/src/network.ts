import { BlockList, isIP, isIPv4 } from 'node:net'

/** A network as it is written: an address alone is one of its own. Undefined where it is none. */
export function readNetwork(text: string): { address: string; prefix: number } | undefined {
  const [address = '', length, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || rest.length > 0) return undefined
  const longest = family === 4 ? 32 : 128
  if (length === undefined) return { address, prefix: longest }
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > longest) return undefined
  return { address, prefix: Number(length) }
}

/** Tells whether an address lies in one of several networks in CIDR notation (RFC 4632); IPv4 written as IPv6 is IPv4. */
export function createNetworks(networks: readonly string[]): { includes(address: string): boolean } {
  const list = new BlockList()
  for (const text of networks) {
    const network = readNetwork(text)
    // What cannot be read includes nobody.
    if (network) list.addSubnet(network.address, network.prefix, familyOf(network.address))
  }
  return { includes: (address) => isIP(address) !== 0 && list.check(address, familyOf(address)) }
}

/** True where all addresses of a network lie in one of several others. */
export function isNetworkWithin(text: string, networks: readonly string[]): boolean {
  const inner = readNetwork(text)
  if (!inner) return false
  return networks.some((each) => {
    const outer = readNetwork(each)
    const isLarger = outer && outer.prefix <= inner.prefix && isIP(outer.address) === isIP(inner.address)
    return isLarger ? createNetworks([each]).includes(inner.address) : false
  })
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')
