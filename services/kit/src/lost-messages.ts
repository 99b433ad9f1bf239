/** How far a consumer of a stream is: what waits for it, and which messages there are. */
export interface ConsumerPosition {
  /** Messages for it that it was not given yet. */
  readonly waiting: number
  /** The sequence of the oldest message in the stream, asked for before `waiting`. */
  readonly firstSequence: number
  /** The sequence of the newest, asked for after `waiting`. */
  readonly lastSequence: number
}

/** Counts messages that left a stream by its bounds before a consumer was given them. */
export interface LostMessages {
  /** A position is about to be asked for: what is given from now on may be among what waits there. */
  begin(): void
  /** A message is given to the consumer, for the first time. */
  given(sequence: number): void
  /** Takes in where the consumer is now; gives how many messages are known to be lost since the last time. */
  look(position: ConsumerPosition): number
}

/**
 * A stream drops its oldest messages at its bounds, and a consumer goes on behind them without a word. What waited at one
 * look must be given to it later; what was not by the time that all of it has left the stream is lost.
 */
export function countLostMessages(): LostMessages {
  let before: { waiting: number; until: number } | undefined
  let givenSince = 0
  return {
    begin() {
      givenSince = 0
    },
    given(sequence) {
      givenSince++
      if (before && sequence <= before.until) before.waiting--
    },
    look({ waiting, firstSequence, lastSequence }) {
      const mayCome = before !== undefined && before.waiting > 0 && firstSequence <= before.until
      if (mayCome) return 0
      const lost = Math.max(0, before?.waiting ?? 0)
      before = { waiting: waiting - givenSince, until: lastSequence }
      return lost
    },
  }
}
