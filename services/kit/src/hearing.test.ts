import { describe, expect, it, onTestFinished } from 'vitest'
import { openNats, routesOn } from '../test/routes.ts'
import { hearStream } from './hearing.ts'
import type { Nats } from './jetstream.ts'

const within = { timeout: 15_000 }
const STREAM = 'INSTATUNNEL'
const SUBJECTS = ['instatunnel.events.key.*', 'instatunnel.events.user.*']

async function openStream() {
  const server = await openNats()
  const on = routesOn(server)
  const teller = on.connectAs('tunnels')
  let told = 0
  const tell = async (what = 'key.created') => {
    const { js } = await teller.ready
    await js.publish(`instatunnel.events.${what}`, String(told++), { timeout: 500 })
  }
  const hear = (
    {
      subjects = SUBJECTS,
      since,
      act,
    }: { subjects?: string[]; since?: Date; act?: (n: number) => void } = {},
    nats: Nats = on.connectAs('relay'),
  ) => {
    const heard: number[] = []
    const steps: string[] = []
    const hearing = hearStream({
      nats,
      log: on.log,
      stream: STREAM,
      async begin() {
        steps.push('begin')
        await nats.ensureStreams()
        return { subjects, ...(since ? { since: () => since } : {}) }
      },
      message(message) {
        heard.push(Number(message.string()))
        act?.(Number(message.string()))
      },
      caughtUp: () => void steps.push('caught up'),
      away: () => void steps.push('away'),
    })
    onTestFinished(() => hearing.close())
    return { ...hearing, heard, steps, nats }
  }
  return { server, on, tell, hear, teller }
}

describe('hearStream', () => {
  it('hears the last of each subject and all that follow, in order per subject', async () => {
    const { tell, hear } = await openStream()
    for (const what of ['key.created', 'user.updated', 'key.created', 'session.revoked']) await tell(what)
    const { heard, steps } = hear()
    await expect.poll(() => heard.toSorted(), within).toEqual([1, 2])
    await tell()
    await tell()
    await expect.poll(() => heard.slice(2), within).toEqual([4, 5])
    expect(steps).toEqual(['begin', 'caught up'])
  })

  it('hears what was told since a time', async () => {
    const { tell, hear } = await openStream()
    for (let n = 0; n < 3; n++) await tell()
    const all = hear({ since: new Date(Date.now() - 60_000), subjects: ['instatunnel.events.key.created'] })
    const none = hear({ since: new Date(Date.now() + 60_000) })
    await expect.poll(() => all.heard, within).toEqual([0, 1, 2])
    await expect.poll(() => none.steps, within).toEqual(['begin', 'caught up'])
    expect(none.heard).toEqual([])
  })

  it('tells that the stream dropped messages which were to be received', async () => {
    const { on, tell, hear, teller } = await openStream()
    for (let n = 0; n < 4; n++) await tell()
    const whole = hear({ since: new Date(0) })
    await expect.poll(() => whole.heard, within).toEqual([0, 1, 2, 3])
    const { jsm } = await teller.ready
    await jsm.streams.purge(STREAM, { keep: 2 }) // as the stream's bounds do
    const late = hear({ since: new Date(Date.now() + 60_000) })
    await expect.poll(() => late.steps, within).toEqual(['begin', 'caught up'])
    expect(on.logged.join('')).not.toContain('left the stream')
    const { heard } = hear({ since: new Date(0) })
    await expect.poll(() => heard, within).toEqual([2, 3])
    expect(on.logged.join('')).toContain('events left the stream before they were received')
  })

  it('goes on after a message that could not be acted on', async () => {
    const { on, tell, hear } = await openStream()
    const act = (n: number) => {
      if (n === 0) throw new Error('not this one')
    }
    const { heard } = hear({ act, since: new Date(0) })
    for (let n = 0; n < 2; n++) await tell()
    await expect.poll(() => heard, within).toEqual([0, 1])
    expect(on.logged.join('')).toContain('not this one')
  })

  it('begins anew when its consumer is gone', async () => {
    const { tell, hear, teller } = await openStream()
    const { heard, steps } = hear()
    await expect.poll(() => steps, within).toEqual(['begin', 'caught up'])
    const { jsm } = await teller.ready
    for await (const { name } of jsm.consumers.list(STREAM)) await jsm.consumers.delete(STREAM, name)
    await expect.poll(() => steps, within).toEqual(['begin', 'caught up', 'away', 'begin', 'caught up'])
    await tell()
    await expect.poll(() => heard, within).toEqual([0])
  })

  it('begins anew when NATS is back, with its streams or without', async () => {
    const { server, tell, hear, teller } = await openStream()
    const { heard, steps } = hear({ since: new Date(0) })
    await tell()
    await expect.poll(() => heard, within).toEqual([0])
    await server.kill()
    await expect.poll(() => steps.at(-1), within).toBe('away')
    await server.start()
    await expect.poll(() => heard, within).toEqual([0, 0])
    const { jsm } = await teller.ready
    await expect.poll(() => jsm.streams.delete(STREAM).then(String, String), within).toBe('true')
    await expect.poll(() => tell().then(() => 'told', String), within).toBe('told')
    await expect.poll(() => heard.at(-1), within).toBeGreaterThan(0)
  }, 40_000)

  it('hears no more when it is closed', async () => {
    const { tell, hear } = await openStream()
    const [closed, open] = [hear(), hear()]
    await expect.poll(() => [closed.steps, open.steps].map((steps) => steps.length), within).toEqual([2, 2])
    closed.close()
    await tell()
    await expect.poll(() => open.heard, within).toEqual([0])
    expect(closed.heard).toEqual([])
    expect(closed.steps).toEqual(['begin', 'caught up'])
  })
})
