import { expect, it } from 'vitest'
import { isOpen, receiptOf, tokenLines } from './receipt.ts'

const receipt = (
  replicas_acked: number,
  replicas_total: number,
  connections_cut: number,
  took_ms: number,
) => ({
  success: true,
  ...{ replicas_acked, replicas_total, connections_cut, took_ms, tunnels: [] },
})

it.each([
  [receipt(2, 2, 1, 13.7), '2 of 2 replicas refuse it, 1 connection cut, 14 ms', false],
  [receipt(1, 1, 0, 0.4), '1 of 1 replica refuses it, 0 connections cut, <1 ms', false],
  [receipt(1, 3, 12, 1004), '1 of 3 replicas refuse it, 12 connections cut, 1.0 s', true],
  [receipt(0, 0, 0, 2), '0 of 0 replicas refuse it, 0 connections cut, 2 ms', true],
])('%o is shown as "%s"', (answer, shown, open) => {
  expect([receiptOf(answer), isOpen(answer)]).toEqual([shown, open])
})

const tunnels = [
  { id: 'tun_1', name: 'Docs' },
  { id: 'tun_2', name: 'Shop' },
]
it.each([
  [{}, undefined],
  [{ tunnels: [], tunnels_known: true }, undefined],
  [
    { tunnels, tunnels_known: true },
    /^The tokens of Docs \(tun_1\), Shop \(tun_2\) may have leaked as well; add --regenerate/,
  ],
  [
    { tunnels, tunnels_known: true, tokens_regenerated: true },
    /^These tunnels have new tokens, .*: Docs \(tun_1\), Shop/,
  ],
  [
    { tunnels, tunnels_known: true, tokens_regenerated: true, tokens_regenerated_before: true },
    /were regenerated before: nothing more/,
  ],
  [{ tunnels_known: false }, /is not known; add --regenerate$/],
  [
    { tunnels_known: false, tokens_regenerated: false },
    /^No token was regenerated: .* run the same command again$/,
  ],
])('of the tunnels in %o it says %s', (more, line) => {
  const lines = tokenLines({ ...receipt(1, 1, 0, 1), ...more })
  expect(lines).toEqual(line === undefined ? [] : [expect.stringMatching(line)])
})
