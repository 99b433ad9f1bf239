import { z } from 'zod'

const limits = z.strictObject({
  tunnels: z.int().min(0).max(1_000_000),
  readFactor: z.number().min(1).max(1000),
  writeFactor: z.number().min(1).max(1000),
  mcp: z.boolean(),
})

/** What a plan allows. */
export interface PlanLimits {
  /** Tunnels at a time. */
  readonly tunnels: number
  /** LIMIT_READ_PER_MINUTE is multiplied by this. */
  readonly readFactor: number
  /** LIMIT_WRITE_PER_MINUTE is multiplied by this. */
  readonly writeFactor: number
  /** True where agents may connect in front of MCP servers. */
  readonly mcp: boolean
}

/** The plans there are. */
export const PLANS = ['free', 'pro', 'business'] as const

/** One plan. */
export type Plan = (typeof PLANS)[number]

/** The settings table: what each plan allows. */
export type Plans = Readonly<Record<Plan, PlanLimits>>

const defaults: Plans = {
  free: { tunnels: 3, readFactor: 1, writeFactor: 1, mcp: false },
  pro: { tunnels: 25, readFactor: 5, writeFactor: 5, mcp: true },
  business: { tunnels: 250, readFactor: 10, writeFactor: 10, mcp: true },
}

/** Setting PLANS: a JSON object that changes what plans allow, e.g. {"free":{"tunnels":5}}. */
export const plansSetting = z
  .string()
  .default('{}')
  .transform((text, context): Plans => {
    const shape = z.strictObject({
      free: limits.partial().optional(),
      pro: limits.partial().optional(),
      business: limits.partial().optional(),
    })
    const parsed = shape.safeParse(jsonOrUndefined(text))
    if (!parsed.success) {
      context.addIssue({
        code: 'custom',
        message: `must be JSON like {"free":{"tunnels":5}}: ${parsed.error.issues[0]?.message}`,
      })
      return z.NEVER
    }
    const changed = Object.entries(defaults).map(([plan, limit]) => [
      plan,
      { ...limit, ...parsed.data[plan as Plan] },
    ])
    return Object.fromEntries(changed) as Plans
  })

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
