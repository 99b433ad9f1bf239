import { benchChain } from './chain/bench.ts'
import { benchTunnel } from './tunnel/bench.ts'

/** What can be measured, by name, and the seconds of load a round unless told. */
const benches = {
  chain: { run: benchChain, seconds: 5 },
  tunnel: { run: benchTunnel, seconds: 3 },
} as const

type Name = keyof typeof benches
const names = Object.keys(benches) as Name[]

/** `npm run bench [NAME] [SECONDS]`: measures what is named, or all of it in turn. */
const args = process.argv.slice(2)
const chosen = names.find((name) => name === args[0])
if (chosen) args.shift()
const seconds = args[0] === undefined ? undefined : Number(args[0])
if (args.length > 1 || (seconds !== undefined && !(seconds >= 1 && seconds <= 600))) {
  console.error(`usage: npm run bench [${names.join('|')}] [SECONDS]   seconds of load a round, 1 to 600`)
  process.exit(2)
}
for (const name of chosen ? [chosen] : names) {
  const bench = benches[name]
  await bench.run(seconds ?? bench.seconds)
}
