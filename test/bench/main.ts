import { readArguments } from './arguments.ts'
import { benchChain } from './chain/bench.ts'
import { benchCheck, partNames } from './check/bench.ts'
import { benchTunnel } from './tunnel/bench.ts'

/** What can be measured, by name, and the seconds of load a round unless told. */
const benches = {
  chain: { run: benchChain, seconds: 5 },
  tunnel: { run: benchTunnel, seconds: 3 },
  check: { run: benchCheck, seconds: 5 }, // the last, as it moves this process to one core
} as const

type Name = keyof typeof benches
const names = Object.keys(benches) as Name[]

/** `npm run bench [NAME] [SECONDS]`: measures what is named, or all of it in turn. */
const told = readArguments(process.argv.slice(2), { benches: names, parts: { check: partNames } })
if (!told) {
  console.error(`usage: npm run bench [${names.join('|')}] [SECONDS]   seconds of load a round, 1 to 600
       npm run bench -- check [SECONDS] --only ${partNames.join('|')}`)
  process.exit(2)
}
for (const name of told.bench ? [told.bench] : names) {
  const bench = benches[name]
  await bench.run(told.seconds ?? bench.seconds, told.only)
}
