import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'

const rounds = 100
const starters = 4

/** At each line it reads it tries to take the lock and says who holds it; at "release" it lets go. */
const starter = (file: string) => `
  import { tryLock } from ${JSON.stringify(new URL('folder-lock.mjs', import.meta.url).href)}
  let lock
  process.stdin.setEncoding('utf8').on('data', (line) => {
    if (line === 'release\\n') lock.release()
    else lock = tryLock(${JSON.stringify(file)})
    console.log(lock.heldBy ?? 'taken')
  })
  console.log('up')`

interface Starter {
  readonly child: ChildProcess
  says(): Promise<string>
}

function startStarter(file: string): Starter {
  const child = spawn(process.execPath, ['--input-type=module', '-e', starter(file)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = (createInterface({ input: child.stdout }) as Interface)[Symbol.asyncIterator]()
  return { child, says: async () => (await lines.next()).value ?? expect.fail('a starter ended') }
}

it('lets one of several starters take a lock whose holder is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'instatunnel-lock-race-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'lock')
  const gone = spawnSync('true').pid
  const all = Array.from({ length: starters }, () => startStarter(file))
  await Promise.all(all.map(({ says }) => says()))

  for (let round = 0; round < rounds; round++) {
    writeFileSync(file, JSON.stringify({ pid: gone, started: 'long ago' }))
    for (const { child } of all) child.stdin?.write('take\n')
    const said = await Promise.all(all.map(({ says }) => says()))
    const [winner, ...others] = all.filter((_, nth) => said[nth] === 'taken')
    expect(others, `round ${round}: ${said}`).toEqual([])
    expect(said.filter((line) => line === String(winner?.child.pid))).toHaveLength(starters - 1)
    winner?.child.stdin?.write('release\n')
    await winner?.says()
    expect(readdirSync(folder)).toEqual([])
  }
})
