import { setTimeout as delay } from 'node:timers/promises'
import { ask } from './check.ts'
import type { Agent, Server } from './contenders/contender.ts'
import { asked, smallBody } from './target.ts'

const deadlineMs = 20_000
const pollMs = 1

/** An agent whose tunnel answers, and the milliseconds from its command to that first answer. */
export interface Answering {
  readonly agent: Agent
  readonly firstAnswerMs: number
}

/** Runs the agent's command and asks through its tunnel until it answers. */
export async function connectAndAsk(server: Server): Promise<Answering> {
  const begun = performance.now()
  const agent = await server.connect()
  for (;;) {
    const answer = await ask(agent.place, asked.small.path).catch((error: Error) => error)
    const firstAnswerMs = performance.now() - begun
    if (!(answer instanceof Error) && answer.toString() === smallBody) return { agent, firstAnswerMs }
    if (firstAnswerMs > deadlineMs) {
      await agent.stop()
      throw new Error(`${agent.place.host} does not answer through its tunnel: ${answer}`)
    }
    await delay(pollMs)
  }
}
