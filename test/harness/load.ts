/** Visitors who ask again and again, until they are told to stop. */
export interface Load<Answer> {
  /** Resolves once so many more have been answered. */
  answered(more: number): Promise<void>
  /** Lets each visitor finish, and gives every answer; an error is what a visitor got instead. */
  stop(): Promise<(Answer | Error)[]>
}

/** Asks so many at a time, each as soon as its last one is answered. */
export function underLoad<Answer>(visitors: number, ask: () => Promise<Answer>): Load<Answer> {
  const answers: (Answer | Error)[] = []
  const heard = new Set<() => void>()
  let going = true
  const visit = async () => {
    while (going) {
      answers.push(await ask().catch((error) => error as Error))
      for (const look of heard) look()
    }
  }
  const all = Promise.all(Array.from({ length: visitors }, visit))
  return {
    answered(more) {
      const enough = answers.length + more
      return new Promise((resolve) => {
        const look = () => {
          if (answers.length < enough) return
          heard.delete(look)
          resolve()
        }
        heard.add(look)
      })
    },
    async stop() {
      going = false
      await all
      return answers
    },
  }
}

/** So many at once. */
export const atOnce = <T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)))
