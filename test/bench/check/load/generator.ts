import { isRight } from './answers.ts'
import { grpcFrame, openCalls } from './connection.ts'
import type { Lane, LaneResult, LoadOrder, LoadResult } from './lane.ts'

/** Makes the load that BENCH_LOAD orders and prints what it met, as JSON. The first wrong answer ends it. */
const order: LoadOrder = JSON.parse(process.env.BENCH_LOAD ?? '')
const fail = (error: Error) => {
  console.error(error.message)
  process.exit(1)
}
const calls = openCalls(order, fail)
const runs = order.lanes.map((lane) => ({ lane, latencies: [] as number[], request: requestsOf(lane) }))
const begun = performance.now()
const endsAt = begun + (order.seconds ?? Number.POSITIVE_INFINITY) * 1000
let isOver = false
let underWay = 0

for (const { lane, latencies, request } of runs) {
  const isRightHere = isRight[lane.expected]
  const callNext = () => {
    const bytes = isOver ? undefined : request()
    if (!bytes) return
    const sent = performance.now()
    underWay++
    calls.call(bytes, (answer) => {
      const answered = performance.now()
      latencies.push(answered - sent)
      if (!isRightHere(answer)) return fail(new Error(`${lane.name}: ${answer.toString('latin1')}`))
      if (answered >= endsAt) isOver = true
      underWay--
      callNext()
      if (underWay === 0) report((answered - begun) / 1000)
    })
  }
  for (let i = 0; i < lane.inFlight; i++) callNext()
}

/** Gives a lane's next request; none after the last of those that come once, which is the end of all. */
function requestsOf({ message, digits }: Lane): () => Buffer | undefined {
  const framed = grpcFrame(Buffer.from(message, 'base64'))
  if (!digits) return () => framed
  const at = framed.length - Buffer.byteLength(message, 'base64') + digits.at
  const { count, times = 1, once } = digits
  let sent = 0
  return () => {
    if (once && sent === count * times) {
      isOver = true
      return undefined
    }
    const bytes = Buffer.from(framed)
    const number = Math.floor(sent++ / times) % count
    bytes.write(`${number}`.padStart(digits.length, '0'), at, 'latin1')
    return bytes
  }
}

function report(seconds: number): void {
  calls.close()
  const lanes = Object.fromEntries(runs.map(({ lane, latencies }) => [lane.name, summary(latencies)]))
  const { user, system } = process.cpuUsage()
  const result: LoadResult = { seconds, lanes, busy: (user + system) / 1e6 / (performance.now() / 1000) }
  console.log(JSON.stringify(result))
}

function summary(latencies: readonly number[]): LaneResult {
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
  return { calls: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}
