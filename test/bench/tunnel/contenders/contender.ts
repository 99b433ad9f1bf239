import type { Pids } from '../../cpu.ts'
import type { Place } from '../../wrk.ts'
import type { Target } from '../target.ts'

/** The agent's end of a tunnel: the command that people run beside their server. */
export interface Agent {
  readonly place: Place
  readonly pids: Pids
  stop(): Promise<unknown>
}

/** The end of a tunnel that visitors meet, running. */
export interface Server {
  readonly pids: Pids
  /** Runs the agent's command. It may still be connecting when this resolves. */
  connect(): Promise<Agent>
  stop(): Promise<unknown>
}

/** A way for requests to reach the target. */
export interface Contender {
  readonly name: string
  /** Somebody else's: where it cannot be had, the rest is measured without it. */
  readonly peer: boolean
  start(target: Target): Promise<Server>
}
