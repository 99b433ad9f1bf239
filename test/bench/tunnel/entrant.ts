import { median } from '../table.ts'
import type { Agent, Contender, Pids, Place } from './contenders/contender.ts'
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

/** Starts a contender, warms it up, and measures how soon its agent's tunnel answers. */
export async function enter(contender: Contender, target: Target): Promise<Entrant> {
  const server = await contender.start(target)
  let agent: Agent | undefined
  const stop = async () => {
    await agent?.stop()
    await server.stop()
  }
  try {
    const times: number[] = []
    for (let i = 0; i < CONNECTS; i++) {
      await agent?.stop()
      const answering = await connectAndAsk(server)
      agent = answering.agent
      times.push(answering.firstAnswerMs)
    }
    const { place, pids } = agent as Agent
    await measureSmall(place, {}, { connections: 32, seconds: WARM_UP_SECONDS })
    return {
      name: contender.name,
      place,
      pids: { ...server.pids, ...pids },
      firstAnswerMs: Object.keys(pids).length > 0 ? median(times) : undefined,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
