/** What may stand where a tunnel's id belongs, and names no tunnel. */
export const notTunnelIds: [what: string, id: string][] = [
  ['nothing', ''],
  ['a prefix', 'tun_'],
  ['an id of nobody’s', 'tun_01h00000000000000000000000'],
  ['an id in capitals', 'TUN_01H00000000000000000000000'],
  ["a key's id", 'key_01h00000000000000000000000'],
  ['a NUL byte', 'tun_01h0000000000000000000000\0'],
  ['a line more', 'tun_01h00000000000000000000000\n'],
  ['SQL', "tun_' or true --"],
  ['a megabyte', 'x'.repeat(1_000_000)],
]

/** How each of them is answered. */
export const tunnelNotFound = {
  code: 'NOT_FOUND',
  reason: 'TUNNEL_NOT_FOUND',
  message: 'Tunnel not found',
  http: 404,
  body: { error: 'not_found', message: 'Tunnel not found', code: 4004 },
}
