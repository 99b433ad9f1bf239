import { expect, onTestFinished } from 'vitest'
import { connectNats } from '../src/jetstream.ts'
import { createLog } from '../src/log.ts'
import { announceReplica, followReplicas } from '../src/replicas.ts'

/** What a NATS server of the test's own must be for this. */
interface Server {
  readonly url: string
  readonly seeds: { readonly auth: string; readonly keys: string }
  process(): { readonly pid: number }
}

export const within = { timeout: 15_000 }

/** Replicas of auth on one NATS, and those who follow them; all end with the test. */
export function replicasOn(server: Server) {
  const logged: Record<string, unknown>[] = []
  const log = createLog('auth', 'warn', { write: (line) => logged.push(JSON.parse(line)) })
  const connectAs = (user: 'auth' | 'keys') => {
    const nats = connectNats({ url: server.url, seed: server.seeds[user], name: user, log })
    onTestFinished(() => nats.close())
    return nats
  }
  const announce = (replica: string, nats = connectAs('auth')) => {
    const announced = announceReplica({ nats, log, service: 'auth', replica })
    onTestFinished(() => announced.close())
    return { ...announced, nats }
  }
  const follow = (nats = connectAs('keys')) => {
    const begun: number[] = []
    const replicas = followReplicas({
      nats,
      log,
      service: 'auth',
      begun: () => begun.push(performance.now()),
    })
    onTestFinished(() => replicas.close())
    return { ...replicas, nats, begun }
  }
  /** Lets the server stand still, as one whose machine or network is gone: its connections stay open. */
  const freeze = () => {
    const { pid } = server.process()
    process.kill(pid, 'SIGSTOP')
    const thaw = () => void process.kill(pid, 'SIGCONT')
    onTestFinished(thaw)
    return thaw
  }
  const current = (replicas: { isCurrent(): boolean }) => expect.poll(replicas.isCurrent, within).toBe(true)
  return { log, logged, connectAs, announce, follow, freeze, current }
}
