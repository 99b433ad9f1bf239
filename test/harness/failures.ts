import type { Told } from './visitor.ts'

/** What visitors got in place of a 200, as text. */
export const failures = (answers: readonly (Told | Error)[]): string[] =>
  answers.flatMap((answer) => {
    if (answer instanceof Error) return [String(answer)]
    return answer.status === 200 ? [] : [`${answer.status} ${answer.text}`]
  })
