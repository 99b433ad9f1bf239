import { connect } from 'node:net'

/** Slower than this to accept is no reason to say anything. */
const LOOK_MS = 1000

/** True unless nothing listens on the port, neither on 127.0.0.1 nor on ::1. */
export async function listensLocally(port: number): Promise<boolean> {
  const answers = await Promise.all(['127.0.0.1', '::1'].map((host) => accepts(host, port)))
  return answers.includes(true)
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.setTimeout(LOOK_MS, () => socket.destroy())
    socket.on('connect', () => socket.destroy())
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(true))
  })
}
