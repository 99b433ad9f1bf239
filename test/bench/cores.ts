import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { type ProcessOptions, type RunningProcess, startProcess } from '@instatunnel/local/process'
import { programOnPath } from './tools.ts'

/** What is measured has one core to itself; load and target have another, so that neither takes from it. */
const cores = { measured: 0, load: 1 }

/** Starts a program of a tunnel's. */
export const startMeasured = (options: ProcessOptions): Promise<RunningProcess> =>
  startOn(cores.measured, options)

/** Starts a program that makes load or answers it. */
export const startLoad = (options: ProcessOptions): Promise<RunningProcess> => startOn(cores.load, options)

/** Moves a running process, with all its threads, to the core of what is measured. */
export const moveToMeasured = (pid: number): Promise<void> => moveTo(cores.measured, pid)

/** Moves this process to the core of the load, and so whatever it starts from now on, unless it says otherwise. */
export const moveToLoad = (): Promise<void> => moveTo(cores.load, process.pid)

/** Says what the machine lacks for all this, if anything. */
export async function missingCores(): Promise<string | undefined> {
  if (availableParallelism() < 2) return 'two cores are needed: one for what is measured, one for the load'
  return (await programOnPath('taskset')) ? undefined : 'taskset, of util-linux, is needed'
}

async function moveTo(core: number, pid: number): Promise<void> {
  await promisify(execFile)('taskset', ['-acp', `${core}`, `${pid}`])
}

function startOn(core: number, options: ProcessOptions): Promise<RunningProcess> {
  const { command, args = [], env = {} } = options
  return startProcess({
    ...options,
    command: 'taskset',
    args: ['-c', `${core}`, command, ...args],
    env: { PATH: process.env.PATH ?? '', ...env },
  })
}
