import type { Taken } from './sliding-window.ts'

/** What a replica wants of a window that another one counts. */
export interface WindowAsk {
  readonly verb: 'take' | 'look'
  readonly subject: string
  readonly limit: number
}

/** A take that is given back, and when the owner counted it, in Unix milliseconds by the owner's clock. */
export interface WindowReturn {
  readonly subject: string
  readonly at: number
}

/** What replicas say to one another about windows. */
export type WindowMessage =
  | {
      readonly kind: 'ask'
      readonly from: string
      /** What the answer is known by; the asker's own. */
      readonly id: number
      readonly asks: readonly WindowAsk[]
      readonly returns: readonly WindowReturn[]
    }
  | {
      readonly kind: 'answer'
      readonly from: string
      readonly id: number
      /** When the owner counted, in Unix milliseconds. */
      readonly at: number
      /** One for each ask, in order. */
      readonly answers: readonly Taken[]
    }

/** What one message may hold of each: it stays under NATS's 1 MiB, and one asker holds no owner up. */
export const MAX_ASKS = 200

// An e-mail of 254 signs, an address, and what the window is for.
const MAX_SUBJECT = 400
const REPLICA = /^[\w-]{1,100}$/

/** The message as it travels: JSON, its lists as rows, for it is written and read as often as calls come. */
export function writeWindowMessage(message: WindowMessage): string {
  const { kind, from, id } = message
  if (kind === 'ask') {
    const asks = message.asks.map(({ verb, subject, limit }) => [verb, subject, limit])
    return JSON.stringify({
      from,
      id,
      asks,
      returns: message.returns.map(({ subject, at }) => [subject, at]),
    })
  }
  const { at } = message
  const answers = message.answers.map((taken) => [
    taken.admitted,
    taken.limit,
    taken.remaining,
    taken.resetSeconds,
  ])
  return JSON.stringify({ from, id, at, answers })
}

/** Reads a message; undefined where it is none, whatever it is. */
export function readWindowMessage(text: string): WindowMessage | undefined {
  const { from, id, at, asks, returns, answers } = objectFrom(text)
  if (!isReplica(from) || !isWhole(id)) return undefined
  if (answers !== undefined) {
    const read = rowsOf(answers, answerFrom)
    return read && isWhole(at) ? { kind: 'answer', from, id, at, answers: read } : undefined
  }
  const [readAsks, readReturns] = [rowsOf(asks, askFrom), rowsOf(returns, returnFrom)]
  return readAsks && readReturns && { kind: 'ask', from, id, asks: readAsks, returns: readReturns }
}

/** Whether a window can be asked for at all: one ask that nobody understands would spoil a whole message. */
export const isAskable = ({ subject, limit }: WindowAsk): boolean => isSubject(subject) && isWhole(limit)

/** Whether a replica can be written to: its name becomes a part of a subject. */
export const isReplica = (name: unknown): name is string => typeof name === 'string' && REPLICA.test(name)

function objectFrom(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Every row as what it says; undefined where one says nothing, or there are too many. */
function rowsOf<T>(value: unknown, read: (row: readonly unknown[]) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_ASKS) return undefined
  const rows: T[] = []
  for (const row of value) {
    const said = Array.isArray(row) ? read(row) : undefined
    if (said === undefined) return undefined
    rows.push(said)
  }
  return rows
}

const askFrom = ([verb, subject, limit]: readonly unknown[]): WindowAsk | undefined =>
  (verb === 'take' || verb === 'look') && isSubject(subject) && isWhole(limit)
    ? { verb, subject, limit }
    : undefined

const returnFrom = ([subject, at]: readonly unknown[]): WindowReturn | undefined =>
  isSubject(subject) && isWhole(at) ? { subject, at } : undefined

const answerFrom = ([admitted, limit, remaining, resetSeconds]: readonly unknown[]): Taken | undefined =>
  typeof admitted === 'boolean' && isWhole(limit) && isWhole(remaining) && isWhole(resetSeconds)
    ? { admitted, limit, remaining, resetSeconds }
    : undefined

const isSubject = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= MAX_SUBJECT

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
