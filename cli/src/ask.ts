import { Refused, UsageError } from './exit.ts'
import type { Streams } from './output.ts'

/** Asks whoever sits at the terminal. */
export interface Ask {
  text(question: string): Promise<string>
  /** The answer is not shown. */
  hidden(question: string): Promise<string>
}

/**
 * Asks on standard error, so that standard output has results alone. Refuses where there is no terminal, with what to
 * do `instead`.
 */
export async function openAsk({ in: input, err: output }: Streams, instead: string): Promise<Ask> {
  if (!input.isTTY || !output.isTTY) throw new UsageError(`There is no terminal to ask on; ${instead}`)
  // A terminal that does not know its size says 0, and nothing would fit.
  output.columns ||= 80
  output.rows ||= 24
  // Loaded late: few commands ask.
  const clack = await import('@clack/prompts')
  const hungUp = new AbortController()
  input.once('end', () => hungUp.abort())
  const options = {
    input,
    output,
    signal: hungUp.signal,
    withGuide: false,
    validate: (answer: string | undefined) => (answer ? undefined : 'Type something'),
  }
  const answered = (answer: string | symbol): string => {
    if (typeof answer === 'string') return answer
    throw new Refused('cancelled', 'Cancelled')
  }
  return {
    text: async (message) => answered(await clack.text({ ...options, message })),
    hidden: async (message) => answered(await clack.password({ ...options, message, mask: '*' })),
  }
}
