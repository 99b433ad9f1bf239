import { describe, expect, it, onTestFinished } from 'vitest'
import { ownNats } from '../../test/own-nats.ts'
import { type CutRequest, onCut } from './on-cut.ts'

const SUBJECT = 'instatunnel.relay.cut'
const request = { credentialType: 'api_key', credentialId: 'key_1', reason: 'key_revoked' }
const within = { timeout: 15_000 }

/** A relay that answers cuts, and tunnels, who asks. */
async function askedRelay(cut: (request: CutRequest) => number = () => 3) {
  const server = await ownNats()
  const tunnels = server.connect('tunnels')
  const answer = (relayId: string) => {
    const nats = server.connect('relay')
    const cuts: CutRequest[] = []
    const answering = onCut({
      nats,
      log: server.log,
      relayId,
      cut(asked) {
        cuts.push(asked)
        return cut(asked)
      },
    })
    onTestFinished(() => answering.close())
    return { ...answering, cuts, nats }
  }
  const ask = async (data: unknown = request, timeout = 1000) => {
    const { connection } = await tunnels.ready
    const message = await connection.request(SUBJECT, JSON.stringify(data), { timeout })
    return message.json()
  }
  const answered = (data?: unknown) => ask(data).catch(String)
  return { server, tunnels, answer, ask, answered }
}

describe('onCut', () => {
  it('cuts what is asked for, and answers how many that were', async () => {
    const { answer, answered } = await askedRelay()
    const { cuts } = answer('relay_a')
    await expect.poll(() => answered(), within).toEqual({ relayId: 'relay_a', cut: 3 })
    expect(cuts).toEqual([request])
    await answered({ ...request, tokenGeneration: 4 })
    expect(cuts.at(-1)).toEqual({ ...request, tokenGeneration: 4 })
  })

  it('answers with every relay', async () => {
    const { answer, tunnels } = await askedRelay()
    const relays = ['relay_a', 'relay_b', 'relay_c']
    for (const relay of relays) answer(relay)
    const { connection } = await tunnels.ready
    const ask = async () => {
      const answers = await connection.requestMany(SUBJECT, JSON.stringify(request), {
        maxWait: 500,
        maxMessages: 3,
      })
      const from: string[] = []
      for await (const message of answers) from.push(message.json<{ relayId: string }>().relayId)
      return from.sort()
    }
    await expect.poll(() => ask().catch(String), within).toEqual(relays)
  })

  it.each([
    'nonsense',
    {},
    { ...request, reason: 'because' },
    { ...request, reason: 'toString' },
    { ...request, credentialId: 7 },
    { ...request, tokenGeneration: '1' },
  ])('cuts nothing for %j', async (wrong) => {
    const { answer, answered, ask } = await askedRelay()
    const { cuts } = answer('relay_a')
    await expect.poll(() => answered(), within).toMatchObject({ cut: 3 })
    const before = cuts.length
    await expect(ask(wrong, 100)).rejects.toThrow('timeout')
    expect(cuts.length).toBe(before)
    expect(await ask()).toMatchObject({ cut: 3 })
  })

  it('goes on after a cut that failed', async () => {
    let failing = false
    const { server, answer, ask, answered } = await askedRelay(() => {
      if (failing) throw new Error('not now')
      return 1
    })
    answer('relay_a')
    await expect.poll(() => answered(), within).toMatchObject({ cut: 1 })
    failing = true
    await expect(ask(request, 100)).rejects.toThrow('timeout')
    failing = false
    expect(await ask()).toMatchObject({ cut: 1 })
    expect(server.logged.join('')).toContain('not now')
  })

  it('goes on after NATS was killed and came back', async () => {
    const { server, answer, answered } = await askedRelay()
    answer('relay_a')
    await expect.poll(() => answered(), within).toMatchObject({ cut: 3 })
    await server.kill()
    await server.start()
    await expect.poll(() => answered(), within).toMatchObject({ cut: 3 })
  }, 40_000)

  it('answers no more when it is closed, also where NATS came after that', async () => {
    const { server, answer, answered } = await askedRelay()
    const relay = answer('relay_a')
    await expect.poll(() => answered(), within).toMatchObject({ cut: 3 })
    relay.close()
    await expect.poll(() => answered(), within).toMatch(/no responders/i)
    await server.stop()
    const late = answer('relay_b')
    late.close()
    await server.start()
    await late.nats.ready
    await expect.poll(() => answered(), within).toMatch(/no responders/i)
    expect(late.cuts).toEqual([])
  }, 40_000)

  it('may be asked by tunnels alone', async () => {
    const { server, answer, answered } = await askedRelay()
    const { cuts } = answer('relay_a')
    await expect.poll(() => answered(), within).toMatchObject({ cut: 3 })
    const before = cuts.length
    for (const user of ['auth', 'keys', 'relay'] as const) {
      const { connection } = await server.connect(user).ready
      const asking = connection.request(SUBJECT, JSON.stringify(request), { timeout: 500 })
      await expect(asking).rejects.toThrow(/permission/i)
    }
    expect(cuts.length).toBe(before)
  })
})
