import { Refused, UsageError } from './exit.ts'
import type { Streams } from './output.ts'
import { printable } from './terminal-text.ts'

/** Asks whoever sits at the terminal. */
export interface Ask {
  text(question: string): Promise<string>
  /** The answer is not shown. */
  hidden(question: string): Promise<string>
  /** Yes or no, no where nothing else is chosen. */
  confirm(question: string): Promise<boolean>
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
  const terminal = { input, output, signal: hungUp.signal, withGuide: false }
  const options = {
    ...terminal,
    validate: (answer: string | undefined) => (answer ? undefined : 'Type something'),
  }
  const answered = <T>(answer: T): Exclude<T, symbol> => {
    if (typeof answer === 'symbol') throw new Refused('cancelled', 'Cancelled')
    return answer as Exclude<T, symbol>
  }
  return {
    text: async (message) => answered(await clack.text({ ...options, message: printable(message) })),
    confirm: async (message) =>
      answered(await clack.confirm({ ...terminal, message: printable(message), initialValue: false })),
    hidden: async (message) =>
      answered(await clack.password({ ...options, message: printable(message), mask: '*' })),
  }
}
