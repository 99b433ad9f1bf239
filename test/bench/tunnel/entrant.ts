import { median } from '../table.ts'
import { checkBodies } from './check.ts'
import type { Agent, Contender, Pids, Place } from './contenders/contender.ts'
import { connectAndAsk } from './first-answer.ts'
import { bulkStreams, measureBulk, measureSmall, type SmallRun, smallConnections } from './measure.ts'
import { isDisturbed, whenQuiet } from './quiet.ts'
import type { Target } from './target.ts'

/** How often the agent's command is run to know how long it takes. */
const CONNECTS = 5
const WARM_UP_SECONDS = 2

/** A contender at work: its tunnel answers. */
export interface Entrant {
  readonly name: string
  readonly place: Place
  /** The processes of both its ends. */
  readonly pids: Pids
  /** From the agent's command to the first answer through its tunnel; a direct connection has no such thing. */
  readonly firstAnswerMs: number | undefined
  stop(): Promise<void>
}

/** What one round of load on an entrant gave: small GETs by connections, MiB/s by streams. */
export interface Round {
  readonly small: Record<number, SmallRun>
  readonly download: Record<number, number>
  readonly upload: Record<number, number>
  readonly runs: number
  /** How many of the runs say little, since other programs never left the machine alone. */
  readonly disturbed: number
}

/** Starts a contender, warms it up, and measures how soon its agent's tunnel answers. */
export async function enter(contender: Contender, target: Target): Promise<Entrant> {
  const server = await contender.start(target)
  let agent: Agent | undefined
  const stop = async () => {
    await agent?.stop()
    await server.stop()
  }
  try {
    const times: number[] = []
    for (let i = 0; i < CONNECTS; i++) {
      await agent?.stop()
      const answering = await connectAndAsk(server)
      agent = answering.agent
      times.push(answering.firstAnswerMs)
    }
    const { place, pids } = agent as Agent
    await measureSmall(place, {}, { connections: 32, seconds: WARM_UP_SECONDS })
    return {
      name: contender.name,
      place,
      pids: { ...server.pids, ...pids },
      firstAnswerMs: Object.keys(pids).length > 0 ? median(times) : undefined,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Checks that bodies arrive as they were sent, then measures everything once, each thing when the machine is quiet. */
export async function runRound({ place, pids }: Entrant, target: Target, seconds: number): Promise<Round> {
  await checkBodies(place, target)
  let runs = 0
  let disturbed = 0
  const quietly = async <T>(measure: () => Promise<T>): Promise<T> => {
    const run = await whenQuiet([target.pid, ...Object.values(pids)], measure)
    runs++
    if (isDisturbed(run)) disturbed++
    return run.value
  }
  const [small, download, upload]: [Round['small'], Round['download'], Round['upload']] = [{}, {}, {}]
  for (const connections of smallConnections) {
    small[connections] = await quietly(() => measureSmall(place, pids, { connections, seconds }))
  }
  for (const streams of bulkStreams) {
    download[streams] = await quietly(() => measureBulk(place, 'download', { streams, seconds }))
    upload[streams] = await quietly(() => measureBulk(place, 'upload', { streams, seconds }))
  }
  return { small, download, upload, runs, disturbed }
}
