import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startGateway } from './test/gateway.ts'

const SIGSEGV = 11

/** A thread of Envoy's by its name, once it uses the processor without end. */
async function busyThread(pid: number, name: string): Promise<string> {
  const ticks = (id: string) => Number(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8').split(' ')[13])
  const id = readdirSync(`/proc/${pid}/task`).find((each) =>
    readFileSync(`/proc/${pid}/task/${each}/comm`, 'utf8').startsWith(name),
  )
  if (id === undefined) throw new Error(`Envoy has no thread ${name}`)
  for (const before = ticks(id); ticks(id) < before + 30; )
    await new Promise((resolve) => setTimeout(resolve, 20))
  return id
}

/** Only the thread that is at a request dumps it: a signal to the process goes to the main one. */
const signalThread = (pid: number, thread: string) =>
  execFileSync('python3', [
    '-c',
    `import ctypes,platform
tgkill = {'x86_64': 234, 'aarch64': 131}[platform.machine()]
assert ctypes.CDLL(None).syscall(tgkill, ${pid}, ${thread}, ${SIGSEGV}) == 0`,
  ])

it('an Envoy that crashes in a request leaves its backtrace in the log, and no header or body', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-crash-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const logFile = join(folder, 'envoy.log')
  const spins = (file: string, text: string) =>
    file === 'request.lua' ? `${text}\nfunction envoy_on_request(handle) while true do end end\n` : text
  const gateway = await startGateway({ edit: spins, logFile })
  onTestFinished(() => gateway.stop())
  const head = ['POST /v1/tunnels HTTP/1.1', 'Host: api.test', 'Authorization: Bearer it_0123456789abcdef']
  const body = '{"name":"a secret name"}'
  const socket = connect(gateway.port, '127.0.0.1')
  socket.on('error', () => {}) // when Envoy is gone
  await once(socket, 'connect')
  socket.write(`${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)

  signalThread(gateway.envoy.pid, await busyThread(gateway.envoy.pid, 'wrk'))
  expect(await gateway.envoy.exited).toMatchObject({ signal: 'SIGSEGV' })
  for (const log of [readFileSync(logFile, 'utf8'), gateway.envoy.process.lines().join('\n')]) {
    expect(log).toContain('Caught Segmentation fault')
    expect(log).not.toMatch(/it_0123456789abcdef|secret|authorization|:path|ActiveStream|slice/)
  }
})
