import { addressSubject } from '@instatunnel/kit/client-address'
import { scopeMissing } from '@instatunnel/kit/guard'
import { rateLimited } from '@instatunnel/kit/rate'
import type { Rule } from '@instatunnel/kit/rules'
import { credentialInvalid, credentialMissing, crossSite } from './call-refusals.ts'
import type { Credentials } from './credentials.ts'
import type { SessionCookie } from './domain/cookie.ts'
import type { Attempt, Refused } from './domain/decision.ts'
import type { Holder } from './domain/holder.ts'
import type { KnownKey } from './domain/known-key.ts'
import { presentedBy } from './domain/presented.ts'
import type { SlidingWindows } from './domain/sliding-window.ts'
import { invalidLimit } from './domain/window-bounds.ts'
import { after, type Eventual } from './eventual.ts'
import type { Judged, KeyGate } from './key-gate.ts'
import { refusedKey } from './key-refusals.ts'
import type { LookUpWay } from './known.ts'
import { keyIdOfSecret } from './known-keys.ts'
import { createUnknownLane, LaneFull } from './unknown-lane.ts'

/** Who may go on; with the key, where it came by one. */
export interface Admitted {
  readonly holder: Holder
  readonly key?: KnownKey
}

/** Finds out who calls, the same for every kind of call. Spends nothing but of the windows of wrong credentials. */
export interface Admission {
  /** Who calls, where the credential is valid, may be used from there and has the scope; otherwise the "no". */
  admit(
    attempt: Attempt,
    needs: Pick<Rule & { kind: 'scope' }, 'scope' | 'safe'>,
    signal?: AbortSignal,
  ): Eventual<Admitted | Refused>
  /** The "no" to a wrong credential, which is counted. */
  refuseInvalid(attempt: Attempt): Eventual<Refused>
}

/** What admission stands on. */
export interface AdmissionOptions {
  readonly windows: SlidingWindows
  readonly cookie: SessionCookie
  readonly limits: { readonly auth: number }
  readonly now: () => Date
}

/** Creates the admission of all who bring a credential. */
export function createAdmission(
  credentials: Credentials,
  keyGate: Pick<KeyGate, 'judge'>,
  options: AdmissionOptions,
): Admission {
  const { windows, cookie, limits, now } = options
  const lane = createUnknownLane(options)

  const refuseInvalid: Admission['refuseInvalid'] = ({ address }) => {
    if (address === undefined) return credentialInvalid()
    const subject = `invalid:${addressSubject(address)}`
    return after(windows.take(subject, invalidLimit(limits), now()), (taken) =>
      taken.admitted ? credentialInvalid() : { refusal: rateLimited(taken) },
    )
  }

  const admitKey = ({ code, key }: Judged, attempt: Attempt, scope: string): Eventual<Admitted | Refused> => {
    if (code === 'VALID') return { holder: key.holder, key }
    // Which of these it was is not said.
    if (code === 'NOT_FOUND' || code === 'DISABLED' || code === 'EXPIRED') return refuseInvalid(attempt)
    return refusedKey(code, key, scope)
  }

  const judge: Admission['admit'] = (attempt, { scope, safe }, signal) => {
    const presented = presentedBy(attempt, cookie)
    if (presented === undefined) return credentialMissing()
    if (presented === 'unreadable') return refuseInvalid(attempt)
    const way: LookUpWay = (lookUp) => lane.lookUp(attempt.address, lookUp)
    if (presented.kind === 'api_key') {
      const scopes = scope === 'any' ? [] : [scope]
      const judged = keyGate.judge(keyIdOfSecret(presented.secret), scopes, attempt.address, way)
      return after(judged, (found) => admitKey(found, attempt, scope))
    }
    return after(credentials.holderOf(presented, way, signal), (holder): Eventual<Admitted | Refused> => {
      if (holder === undefined) return refuseInvalid(attempt)
      const fromCookie = presented.kind === 'session' && presented.fromCookie
      if (fromCookie && !safe && !cookie.isOurs(attempt)) return crossSite()
      // A tunnel's token has no scopes: whoever asks decides what it opens.
      const lacks = holder.kind === 'user' && scope !== 'any' && !holder.scopes.has(scope)
      return lacks ? { refusal: scopeMissing(scope) } : { holder }
    })
  }

  return {
    refuseInvalid,
    admit(attempt, needs, signal) {
      const judged = judge(attempt, needs, signal)
      return judged instanceof Promise ? judged.catch(refusedByLane) : judged
    },
  }
}

/** Makes of a lane that is full the "no", and passes all else on. */
function refusedByLane(error: unknown): Refused {
  if (error instanceof LaneFull) return { refusal: error.refusal }
  throw error
}
