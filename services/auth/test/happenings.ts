/** Conditions that events make true. */
export interface Happenings {
  /** Something happened: whoever waits looks again. */
  happened(): void
  /** Resolves with what is looked for, once it is there. */
  until<T>(look: () => T | false | undefined): Promise<T>
}

/** Creates them. */
export function createHappenings(): Happenings {
  const waiting = new Set<() => void>()
  return {
    happened() {
      for (const again of waiting) again()
    },
    until: (look) =>
      new Promise((resolve) => {
        const again = () => {
          const found = look()
          if (found === undefined || found === false) return
          waiting.delete(again)
          resolve(found)
        }
        waiting.add(again)
        again()
      }),
  }
}
