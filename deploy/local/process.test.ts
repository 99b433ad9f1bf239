import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { startProcess } from './process.ts'

const node = process.execPath
const patient = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')"

function nextLine(child: { onLine(listen: (line: string) => void): () => void }): Promise<string> {
  return new Promise((resolve) => {
    const end = child.onLine((line) => {
      end()
      resolve(line)
    })
  })
}

/** Resolves once no process of that id is left, or one that only waits to be buried. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
      if (process.platform === 'linux' && /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')))
        return
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('startProcess', () => {
  it('kills the whole group when the supervisor dies by SIGKILL', async () => {
    const grandchild =
      "console.log(require('child_process').spawn('sleep', ['1000']).pid); setInterval(() => {}, 1000)"
    const supervisor = await startProcess({
      name: 'supervisor',
      command: node,
      args: [
        '--input-type=module',
        '-e',
        `import { startProcess } from ${JSON.stringify(new URL('process.ts', import.meta.url).href)}
         const child = await startProcess({ name: 'child', command: ${JSON.stringify(node)}, args: ['-e', ${JSON.stringify(grandchild)}], env: process.env })
         child.onLine((line) => console.log(child.pid + ' ' + line))`,
      ],
      env: { PATH: process.env.PATH ?? '' },
    })
    const pids = (await nextLine(supervisor)).split(' ').map(Number)
    expect(pids).toHaveLength(2)
    // Only the supervisor itself, not its group: nothing but its death tells the child.
    process.kill(supervisor.pid, 'SIGKILL')
    await Promise.all(pids.map(gone))
  })

  it('kills a child that does not end within the grace', async () => {
    const child = await startProcess({ name: 'patient', command: node, args: ['-e', patient], graceMs: 50 })
    await nextLine(child)
    expect(await child.stop()).toEqual({ code: null, signal: 'SIGKILL' })
  })

  it('keeps the last lines and the exit code', async () => {
    const script =
      'for (let i = 0; i < 100; i++) console.log(i); console.error("broken"); process.exitCode = 3'
    const child = await startProcess({ name: 'brief', command: node, args: ['-e', script] })
    expect(await child.exited).toEqual({ code: 3, signal: null })
    expect(child.lines()).toHaveLength(40)
    expect(child.lines()).toContain('broken')
  })

  it('inherits nothing of the environment', async () => {
    const child = await startProcess({
      name: 'env',
      command: node,
      args: [
        '-p',
        'Object.keys(process.env).filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name)).join()',
      ],
      env: { ONE: '1' },
    })
    await child.exited
    expect(child.lines()).toEqual(['ONE'])
  })

  it('says which program could not be found', async () => {
    const child = await startProcess({ name: 'missing', command: '/no/such/program' })
    expect((await child.exited).code).toBe(127)
    expect(child.lines().join()).toContain('/no/such/program')
  })
})
