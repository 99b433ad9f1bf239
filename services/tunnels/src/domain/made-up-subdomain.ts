import type { Random } from '@instatunnel/kit/id'

const ADJECTIVES = words(`
  able amber bold brave breezy bright brisk calm cheery clear clever cosmic cozy crisp curious dapper daring eager
  early easy fair fancy fond frosty gentle glad golden grand happy hardy humble jolly keen kind lively lucky lunar
  mellow merry mighty misty modest neat nimble noble patient placid polite prime proud quick quiet rapid ready shiny
  silver smart snappy snug steady sunny swift tidy vivid warm wise witty zesty`)

const NOUNS = words(`
  acorn alder antler aspen badger banjo beacon birch bison breeze brook canyon cedar cliff clover comet coral cove
  crane creek delta dune elm ember falcon fern finch fjord forest fox garden glade grove harbor hazel heron hill
  island ivy lagoon lake lantern lark linden maple marten meadow mesa moss oak orchard osprey otter owl pebble pine
  plover pond prairie puffin quartz reef ridge river robin sequoia sparrow spruce summit swallow tern thicket tulip
  valley walnut willow wren`)

// No vowels and nothing that looks like one, so that four of them never make a word.
const TAIL = [...'bcdfghjkmnpqrstvwxz23456789']

/** A subdomain that reads well, such as "brave-otter-k3x9": one of some two thousand million. */
export function makeUpSubdomain(random: Random): string {
  const tail = makeUpTail(4, random)
  return `${pick(ADJECTIVES, random)}-${pick(NOUNS, random)}-${tail}`
}

/** So many characters that make no word: what there is too little room for words. */
export const makeUpTail = (length: number, random: Random): string =>
  Array.from({ length }, () => pick(TAIL, random)).join('')

/** One of at most 256 things, each equally likely: bytes past the last whole multiple are drawn again. */
function pick(from: readonly string[], random: Random): string {
  const fair = 256 - (256 % from.length)
  for (;;) {
    const [byte = 0] = random(1)
    if (byte < fair) return from[byte % from.length] as string
  }
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/)
}
