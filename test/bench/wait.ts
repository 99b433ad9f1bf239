import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { RunningProcess } from '@instatunnel/local/process'

/** Servers of all contenders listen within a second. */
const deadlineMs = 15_000
const pollMs = 5

/** Resolves once something listens on that port of the loopback address; fails when the process has ended before. */
export async function waitForPort(port: number, server: RunningProcess): Promise<void> {
  let ended = false
  void server.exited.then(() => {
    ended = true
  })
  for (const begun = performance.now(); !(await listens(port)); await delay(pollMs)) {
    const late = performance.now() - begun > deadlineMs
    if (ended || late) throw new Error(`${server.name} does not listen:\n${server.lines().join('\n')}`)
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
