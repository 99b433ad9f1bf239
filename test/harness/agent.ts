import { setTimeout as delay } from 'node:timers/promises'
import { type AgentEnd, type AgentEvent, type AgentOptions, runAgent } from '../../cli/src/agent/agent.ts'
import type { TestStack } from './stack.ts'

/** An event may take so long (agents wait up to 10 s before they try again), or the test hears what came instead. */
const patienceMs = 30_000

/** The command's own agent, in this process. */
export interface TestAgent {
  /** Where its tunnel's site is. */
  readonly url: string
  /** All that has happened to it so far. */
  readonly events: readonly AgentEvent[]
  /** The first event of this kind after the first so many; already there, or still to come. */
  event<Kind extends AgentEvent['kind']>(
    kind: Kind,
    after?: number,
  ): Promise<Extract<AgentEvent, { kind: Kind }>>
  /** Resolves with why it ended. */
  readonly ended: Promise<AgentEnd>
  /** Has it stop, what is in flight first. */
  leave(): Promise<AgentEnd>
}

/** What is connected with what; the rest is the stack's. */
export type ConnectedAs = Pick<AgentOptions, 'tunnelId' | 'credential' | 'port'> &
  Partial<Pick<AgentOptions, 'mode' | 'host'>>

/** Runs an agent, and resolves once it is connected. */
export async function startAgent({ gateway }: TestStack, options: ConnectedAs): Promise<TestAgent> {
  const leaving = new AbortController()
  const events: AgentEvent[] = []
  const heard = new Set<() => void>()
  const on = (event: AgentEvent) => {
    events.push(event)
    for (const look of heard) look()
  }
  // Whatever the domain: this name of the API's is one that machines know.
  const api = `http://localhost:${gateway.port}`
  // No clock is wrong here: a 401 is asked about once more at once.
  const ended = runAgent({ api, secondQuestionMs: 0, ...options, signal: leaving.signal, on })
  const event: TestAgent['event'] = (kind, after = 0) => {
    const { promise, resolve } = Promise.withResolvers<Extract<AgentEvent, { kind: typeof kind }>>()
    const look = () => {
      const found = events.slice(after).find((each) => each.kind === kind)
      if (found) resolve(found as Extract<AgentEvent, { kind: typeof kind }>)
    }
    heard.add(look)
    look()
    return within(promise, () => `no ${kind}; it saw ${JSON.stringify(events)}`).finally(() =>
      heard.delete(look),
    )
  }
  const { url } = await Promise.race([
    event('connected'),
    ended.then((end) => Promise.reject(new Error(`it ended: ${JSON.stringify(end)}`))),
  ])
  return {
    url,
    events,
    event,
    ended,
    leave() {
      leaving.abort()
      return ended
    },
  }
}

/** What a promise gives in reasonable time; otherwise fails, and says why. */
export async function within<T>(promise: Promise<T>, why: () => string, ms = patienceMs): Promise<T> {
  const soon = new AbortController()
  const late = delay(ms, undefined, { signal: soon.signal }).then(() => Promise.reject(new Error(why())))
  try {
    return await Promise.race([promise, late])
  } finally {
    soon.abort()
    late.catch(() => {})
  }
}
