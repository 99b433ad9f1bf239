// Envoy's words for an address: `192.0.2.1:443`, `[2001:db8::1]:443`, `[::ffff:192.0.2.1]:443`.

const groups = memory.data(16)

const colon: u8 = 0x3a
const dot: u8 = 0x2e
const open: u8 = 0x5b
const zero: u8 = 0x30

/** Whose connection it is: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has. */
export function clientOf(text: usize, size: u32): u64 {
  return load<u8>(text) === open ? ofIpv6(text + 1, text + size) : ofIpv4(text, text + size)
}

function ofIpv4(text: usize, end: usize): u64 {
  let address: u64 = 0
  let part: u64 = 0
  for (; text < end; text++) {
    const c = load<u8>(text)
    if (c === dot) {
      address = (address << 8) | part
      part = 0
    } else if (isDigit(c)) part = part * 10 + (c - zero)
    else break
  }
  return (address << 8) | part
}

function ofIpv6(text: usize, end: usize): u64 {
  let count = 0
  let gap = -1
  while (text < end && count < 8) {
    let group: u16 = 0
    const start = text
    for (; text < end && isHex(load<u8>(text)); text++) group = (group << 4) | hex(load<u8>(text))
    const c = text < end ? load<u8>(text) : 0
    if (c === dot) return ofIpv4(start, end) // an IPv4 address, written as IPv6
    if (text > start) store<u16>(groups + 2 * count++, group)
    if (c !== colon) break
    text++
    if (text < end && load<u8>(text) === colon) {
      gap = count
      text++
    }
  }
  let network: u64 = 0
  const left = 8 - count // out by `::`
  for (let i = 0; i < 4; i++) {
    let group: u64 = 0
    if (gap < 0 || i < gap) group = load<u16>(groups + 2 * i)
    else if (i >= gap + left) group = load<u16>(groups + 2 * (i - left))
    network = (network << 16) | group
  }
  return network
}

const isDigit = (c: u8): bool => c >= zero && c <= zero + 9
const isHex = (c: u8): bool => isDigit(c) || ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x66)
const hex = (c: u8): u16 => (isDigit(c) ? c - zero : (c | 0x20) - 0x61 + 10)
