import { describe, expect, it } from 'vitest'
import { formatTunnelGoals } from './goals.ts'
import type { Result } from './result.ts'

const resultOf = (name: string, requestsPerSecond: number): Result => {
  const run = { requestsPerSecond, p50Ms: 1, p99Ms: 5, cpuMicroseconds: { server: 20, agent: 20 } }
  const bulk = { 1: 100, 8: 100 }
  return {
    name,
    firstAnswerMs: 500,
    small: { 4: run, 32: run },
    download: bulk,
    upload: bulk,
    runs: 6,
    disturbed: 0,
  }
}

describe('the goals', () => {
  const lines = formatTunnelGoals([resultOf('ours', 9000), resultOf('localtunnel', 1000)], 'ours').split('\n')
  const lineOf = (says: string) => lines.find((line) => line.startsWith(says))

  it('hold where they are reached, alone and beside a peer', () => {
    expect(lineOf("requests/s at 32, of localtunnel's")).toMatch(/ 9 +yes$/)
    expect(lineOf('p99 ms at 32')).toMatch(/ 5 +yes$/)
  })

  it('do not hold where they are missed', () => {
    expect(lineOf('first answer ms')).toMatch(/ 500 +NO$/)
    expect(lineOf('µs of both ends at 32')).toMatch(/ 1 +NO$/)
  })

  it('are not known beside a peer that was left out', () => {
    expect(lineOf("requests/s at 32, of bore's")).toMatch(/not known$/)
  })
})
