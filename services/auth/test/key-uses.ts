import { status } from '@grpc/grpc-js'
import type {
  LeaseUsesRequest,
  LeaseUsesResponse,
  SettleUsesRequest,
  SettleUsesResponse,
} from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import { onTestFinished } from 'vitest'
import type { KnownKey } from '../src/domain/known-key.ts'
import { createKeyUses } from '../src/key-uses.ts'

export const START = Date.parse('2026-07-01T12:00:00Z')

/** A key as the gate knows it, as far as its uses go. */
export const keyOf = (id: string) => ({ record: { id, isMetered: true } }) as KnownKey

/** How a call fails that never arrived, or whose answer was lost. */
export const away = () => Object.assign(new Error('UNAVAILABLE'), { code: status.UNAVAILABLE })

/** One request to keys that is not answered yet. */
export interface Asked {
  readonly request: LeaseUsesRequest
  grant(granted: number, rest?: Partial<LeaseUsesResponse>): void
  refuse(code: 'RATE_LIMITED' | 'USAGE_EXCEEDED', retryAfterMs?: number): void
  fail(error: unknown): void
}

/** A holder whose keys is answered by hand, with a clock that stands still. */
export function holderByHand() {
  let time = START
  let sweep = async () => {}
  const unread: Asked[] = []
  const forgotten: string[] = []
  let wake = () => {}
  const leaseUses = (request: LeaseUsesRequest) =>
    new Promise<LeaseUsesResponse>((resolve, reject) => {
      const none = { granted: 0, validForMs: 0, code: '', retryAfterMs: undefined }
      unread.push({
        request,
        grant: (granted, rest) =>
          resolve({
            ...none,
            granted,
            validForMs: 10_000,
            remaining: 1000,
            windowRemaining: undefined,
            ...rest,
          }),
        refuse: (code, retryAfterMs) =>
          resolve({ ...none, code, retryAfterMs, remaining: 0, windowRemaining: undefined }),
        fail: reject,
      })
      wake()
    })
  /** Each settlement as if it was asked for by itself. */
  const settleUses = async ({ holder, settlements }: SettleUsesRequest): Promise<SettleUsesResponse> => {
    const each = settlements.map((one) => leaseUses({ ...one, holder, wanted: 0, kept: 0 }))
    const settled = await Promise.allSettled(each)
    const lost: number[] = []
    for (const [index, outcome] of settled.entries()) {
      if (outcome.status === 'fulfilled') continue
      if (outcome.reason.code !== status.ABORTED) throw outcome.reason
      lost.push(index)
    }
    return { lost }
  }
  const heard = { now: true }
  const uses = createKeyUses({
    keys: { leaseUses, settleUses },
    isHeard: () => heard.now,
    replica: 'auth_1',
    now: () => new Date(time),
    forget: (keyId) => forgotten.push(keyId),
    every: (_, work) => {
      sweep = work
      return () => {
        sweep = async () => {}
      }
    },
  })
  onTestFinished(() => void uses.close())
  return {
    uses,
    forgotten,
    /** Whether this replica hears what changes. */
    heard,
    /** What the clock says. */
    at: (ms = 0) => new Date(time + ms),
    pass(ms: number) {
      time += ms
    },
    /** The work that is repeated each half second; done when what is due has gone back. */
    sweep: () => sweep(),
    /** Requests that nobody has looked at. */
    unread,
    /** The next request, once it is there. */
    async asked(): Promise<Asked> {
      for (;;) {
        const asked = unread.shift()
        if (asked) return asked
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}
