import { accountsOf } from '@instatunnel/test/accounts'
import { startTestStack, type TestStack } from '@instatunnel/test/stack'
import { moveToMeasured } from '../cores.ts'
import type { Pids } from '../cpu.ts'
import { giveWay } from '../give-way.ts'

/** The whole platform; auth alone is on the core of what is measured, the rest is where the load is. */
export interface Platform {
  readonly stack: TestStack
  /** Of an account that nothing limits. */
  readonly apiKey: string
  readonly sessionToken: string
  /** Of an admin, who may make keys that count their uses. */
  readonly adminKey: string
  /** Where Check is served. */
  readonly checkPort: number
  authPid(): number
  /** Everything that may work for a verification. */
  pids(): Pids
  /** Has all but auth give way to the load, on whose core they are. */
  othersGiveWay(): Promise<void>
  /** Starts auth anew with these settings on top of what it has: it remembers nothing. */
  restartAuth(env: Record<string, string>): Promise<void>
  stop(): Promise<void>
}

const admin = { email: 'admin@example.com', password: 'long enough to bench' }

/** No limit that a bench could meet: wrong credentials are ten million a minute, and reads a thousand million. */
export const NO_LIMITS = { LIMIT_AUTH_PER_MINUTE: '1000000', LIMIT_READ_PER_MINUTE: '1000000' }

const settings = {
  ...NO_LIMITS,
  PLANS: JSON.stringify(Object.fromEntries(['free', 'business'].map((plan) => [plan, { readFactor: 1000 }]))),
  INSTATUNNEL_ADMIN_EMAIL: admin.email,
  INSTATUNNEL_ADMIN_PASSWORD: admin.password,
}

/** Starts it on free ports. */
export async function startPlatform(): Promise<Platform> {
  const stack = await startTestStack({ settings, durable: true })
  try {
    const auth = stack.service('auth')
    const accounts = accountsOf(stack.call)
    const { token, apiKey } = await accounts.register()
    const { apiKey: adminKey } = await accounts.login(admin)
    await moveToMeasured(auth.process().pid)
    return {
      stack,
      apiKey,
      sessionToken: token,
      adminKey,
      checkPort: Number(new URL(`http://${stack.checkAddresses[0]}`).port),
      authPid: () => auth.process().pid,
      pids: () => ({
        auth: auth.process().pid,
        keys: stack.service('keys').process().pid,
        postgres: stack.postgres.process().pid,
      }),
      othersGiveWay() {
        const authPid = auth.process().pid
        return giveWay(
          stack
            .processes()
            .map(({ pid }) => pid)
            .filter((pid) => pid !== authPid),
        )
      },
      async restartAuth(env) {
        await auth.restart(env)
        await moveToMeasured(auth.process().pid)
      },
      stop: () => stack.stop(),
    }
  } catch (error) {
    await stack.stop()
    throw error
  }
}
