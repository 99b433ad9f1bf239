import { openAsk } from './ask.ts'
import type { Deps } from './deps.ts'
import { Refused } from './exit.ts'

/** The option of every command that asks first. */
export const YES = [
  '-y, --yes',
  'do not ask first; without a terminal, and with --json, it never does',
] as const

/** Asks before something is done that people regret, where somebody can answer. Refuses where the answer is no. */
export async function askFirst(
  { output, streams }: Deps,
  isSure: true | undefined,
  question: string,
): Promise<void> {
  if (isSure || output.json || !streams.in.isTTY || !streams.err.isTTY) return
  const ask = await openAsk(streams, 'give --yes')
  if (!(await ask.confirm(question))) throw new Refused('cancelled', 'Cancelled')
}
