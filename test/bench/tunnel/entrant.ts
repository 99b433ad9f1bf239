import type { Pids } from '../cpu.ts'
import type { WhenQuiet } from '../quiet.ts'
import { median } from '../table.ts'
import type { Place } from '../wrk.ts'
import type { Contender, Server } from './contenders/contender.ts'
import { connectAndAsk } from './first-answer.ts'
import { measureSmall } from './measure.ts'
import type { Target } from './target.ts'

/** How often the agent's command is run to know how long it takes. */
const CONNECTS = 5
const WARM_UP_SECONDS = 2

/** A contender at work: its tunnel answers. */
export interface Entrant {
  readonly name: string
  readonly place: Place
  /** The processes of both its ends. */
  readonly pids: Pids
  /** From the agent's command to the first answer through its tunnel; a direct connection has no such thing. */
  readonly firstAnswerMs: number | undefined
  stop(): Promise<void>
}

/** Starts a contender, measures how soon its agent's tunnel answers, and warms it up. */
export async function enter(contender: Contender, target: Target, whenQuiet: WhenQuiet): Promise<Entrant> {
  const server = await contender.start(target)
  try {
    const times: number[] = []
    while (times.length < CONNECTS) times.push(await timeConnect(server, whenQuiet))
    const { agent } = await connectAndAsk(server)
    await measureSmall(agent.place, {}, { connections: 32, seconds: WARM_UP_SECONDS })
    return {
      name: contender.name,
      place: agent.place,
      pids: { ...server.pids, ...agent.pids },
      firstAnswerMs: Object.keys(agent.pids).length > 0 ? median(times) : undefined,
      async stop() {
        await agent.stop()
        await server.stop()
      },
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function timeConnect(server: Server, whenQuiet: WhenQuiet): Promise<number> {
  const { value } = await whenQuiet(Object.values(server.pids), async () => {
    const { agent, firstAnswerMs } = await connectAndAsk(server)
    await agent.stop() // within the run: what it took is known once it has ended
    return firstAnswerMs
  })
  return value
}
