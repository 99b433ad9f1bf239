import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { portOrFree } from './ports.ts'
import { startProcess } from './process.ts'

const HANDED_OUT = 19_000

/** Picks a port that another process was handed before others. */
function picking() {
  let next = HANDED_OUT
  return () => next++
}

it('is handed to one process of all that run, whether it listens there or not', async () => {
  const ports = fileURLToPath(new URL('./ports.ts', import.meta.url))
  const script = `
    const { portOrFree } = await import(${JSON.stringify(ports)})
    console.log('port', await portOrFree(0, () => ${HANDED_OUT}))
    setInterval(() => {}, 1000)`
  const other = await startProcess({
    name: 'other',
    command: process.execPath,
    args: ['--input-type=module', '-e', script],
  })
  onTestFinished(async () => void (await other.stop()))
  await expect.poll(() => other.lines(), { timeout: 10_000 }).toEqual([`port ${HANDED_OUT}`])
  expect(await portOrFree(0, picking())).toBe(HANDED_OUT + 1)
  expect(await portOrFree(0, picking())).toBe(HANDED_OUT + 2)
  await other.kill()
  expect(await portOrFree(0, picking())).toBe(HANDED_OUT)
})

it('is the one that was asked for', async () => {
  expect(await portOrFree(HANDED_OUT + 100)).toBe(HANDED_OUT + 100)
})
