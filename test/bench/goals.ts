import { formatTable } from './table.ts'

/** What is to be reached, and what was measured; NaN where that is not known. One of the three bounds is set. */
export interface Goal {
  readonly says: string
  readonly atLeast?: number
  readonly atMost?: number
  readonly below?: number
  readonly measured: number
}

/** Which of the goals are reached; what could not be measured is not known. */
export function formatGoals(name: string, goals: readonly Goal[]): string {
  return formatTable(
    goals.map((goal) => {
      const { sign, bound, holds } = judge(goal)
      const known = !Number.isNaN(goal.measured)
      return {
        [`${name}: goal`]: goal.says,
        'to reach': `${sign} ${bound}`,
        measured: known ? goal.measured : '',
        holds: known ? (holds ? 'yes' : 'NO') : 'not known',
      }
    }),
  )
}

function judge({ atLeast, atMost, below = Number.NaN, measured }: Goal) {
  if (atLeast !== undefined) return { sign: '≥', bound: atLeast, holds: measured >= atLeast }
  if (atMost !== undefined) return { sign: '≤', bound: atMost, holds: measured <= atMost }
  return { sign: '<', bound: below, holds: measured < below }
}
