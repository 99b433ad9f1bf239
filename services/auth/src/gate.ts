import { type Rate, rateLimited } from '@instatunnel/kit/rate'
import { invalidFields, Refusal } from '@instatunnel/kit/refusal'
import type { RestRouteOf } from '@instatunnel/kit/rest-routes'
import type { Rule, Rules } from '@instatunnel/kit/rules'
import { type AdmissionOptions, type Admitted, createAdmission } from './admission.ts'
import { connectsOnly, nothingHere } from './call-refusals.ts'
import { type ConnectGate, createConnectGate } from './connect-gate.ts'
import { type CredentialsOptions, createCredentials } from './credentials.ts'
import type { CheckedAddresses } from './domain/checked-address.ts'
import type { Attempt, Decision } from './domain/decision.ts'
import { addressWindow, type GeneralLimits, userWindow } from './domain/general-limit.ts'
import type { UserHolder } from './domain/holder.ts'
import type { KeyUses } from './domain/key-use.ts'
import type { KeyCode } from './domain/key-verdict.ts'
import type { KeyUsageTeller } from './events/key-usage.ts'
import { after, type Eventual } from './eventual.ts'
import { createExplainer, type Explainer } from './explainer.ts'
import { createIdentityTokens } from './identity-tokens.ts'
import { createKeyGate } from './key-gate.ts'
import { againWhereGone } from './key-gone.ts'
import { answeredTo, unspent } from './key-refusals.ts'
import { keyIdOf } from './known-keys.ts'
import type { SignInTurns } from './sign-in-turns.ts'

/** The one place where calls are admitted: Check, Authenticate, VerifyKey, ExplainKey and CheckConnection all ask it. */
export interface Gate extends ConnectGate, Explainer {
  /**
   * Decides about a call of an rpc, by its full method, "/instatunnel.keys.v1.ApiKeyService/ListKeys": at once where all
   * is known. Throws only where it cannot decide: the database or a neighbour is away.
   */
  decide(method: string, attempt: Attempt, signal?: AbortSignal): Eventual<Decision>
  /** Decides about a bearer that reached a service directly: gives an identity token, or throws the refusal. */
  authenticate(bearer: string, method: string, signal?: AbortSignal): Promise<string>
  /** Decides whether a key may be used now with these scopes and from this address, and counts the use where it may. */
  verifyKey(
    digest: Buffer,
    asked: readonly string[],
    address: string | undefined,
    signal?: AbortSignal,
  ): Eventual<VerifiedKey>
}

/** What was found of a key. */
export interface VerifiedKey {
  readonly code: KeyCode
  /** Until it may be VALID again; undefined where that is not known, or it never will. */
  readonly retryAfterSeconds?: number | undefined
}

/** What the gate stands on. */
export interface GateOptions extends CredentialsOptions, AdmissionOptions {
  readonly rules: Rules
  readonly routeOf: RestRouteOf
  readonly usage: KeyUsageTeller
  readonly uses: KeyUses
  readonly limits: GeneralLimits
  readonly checkedAddresses: CheckedAddresses
  readonly signInTurn: SignInTurns
}

/** Creates the gate. */
export function createGate(options: GateOptions): Gate {
  const { rules, windows, limits, checkedAddresses, signInTurn, now } = options
  const identityTokenOf = createIdentityTokens(options)
  const credentials = createCredentials(options)
  const keyGate = createKeyGate(credentials, options)
  const admission = createAdmission(credentials, keyGate, options)

  const admitPublic = (
    method: string,
    { limit: kind }: Rule & { kind: 'public' },
    attempt: Attempt,
    signal?: AbortSignal,
  ) => {
    const { address = '' } = attempt
    const { subject, limit } = addressWindow(address, kind, limits)
    const at = now()
    const admitted = (rate: Rate): Decision => ({
      rate,
      clientAddress: checkedAddresses.sign(address, method, now()),
    })
    return after(windows.take(subject, limit, at), (rate): Eventual<Decision> => {
      if (!rate.admitted) return { refusal: rateLimited(rate) }
      if (kind !== 'auth') return admitted(rate)
      return signInTurn(attempt, signal).then(
        () => admitted(rate),
        (error) => {
          // Nothing was tried.
          windows.giveBack(subject, at)
          if (error instanceof Refusal) return { refusal: error }
          throw error
        },
      )
    })
  }

  /** The last of a decision: the key's own uses, and who is calling. */
  const admitHolder = (
    holder: UserHolder,
    { key }: Admitted,
    { at, counted, signal }: { at: Date; counted?: Counted; signal: AbortSignal | undefined },
  ) => {
    const admitted = (): Decision =>
      answeredTo(key, { identity: identityTokenOf(holder, at), ...(counted && { rate: counted.rate }) })
    if (key === undefined) return admitted()
    return after(keyGate.spend(key, at, { undo: counted?.giveBack, signal }), (taken) =>
      taken.code === 'VALID' ? admitted() : unspent(key, taken),
    )
  }

  const admitUser = (rule: Rule & { kind: 'scope' }, attempt: Attempt, signal?: AbortSignal) =>
    after(admission.admit(attempt, rule, signal), (who): Eventual<Decision> => {
      if ('refusal' in who) return who
      const { holder, key } = who
      if (holder.kind === 'tunnel') return { refusal: connectsOnly() }
      const at = now()
      if (key?.record.rateLimitEnabled === false) return admitHolder(holder, who, { at, signal })
      // So that an account has a small share of the places for such bodies.
      const kind = attempt.body === 'large' ? 'write' : rule.limit
      const { subject, limit } = userWindow(holder.user, kind, limits)
      return after(windows.take(subject, limit, at), (rate) => {
        if (!rate.admitted) return answeredTo(key, { refusal: rateLimited(rate) })
        const counted = { rate, giveBack: () => windows.giveBack(subject, at) }
        return admitHolder(holder, who, { at, counted, signal })
      })
    })

  const decide: Gate['decide'] = (method, attempt, signal) => {
    const rule = rules.get(method)
    if (!rule || rule.kind === 'internal') return { refusal: nothingHere() }
    if (rule.kind === 'public') return admitPublic(method, rule, attempt, signal)
    return againWhereGone(() => admitUser(rule, attempt, signal))
  }

  return {
    ...createConnectGate(credentials, admission, keyGate, options),
    ...createExplainer(credentials, options),
    decide,
    async authenticate(bearer, method, signal) {
      if (rules.get(method)?.kind !== 'scope') throw notForUsers()
      const { refusal, identity = '' } = await decide(method, { authorization: `Bearer ${bearer}` }, signal)
      if (refusal) throw refusal
      return identity
    },
    verifyKey: (digest, asked, address, signal) =>
      againWhereGone(() =>
        after(
          keyGate.judge(keyIdOf(digest), asked, address),
          (judged): Eventual<VerifiedKey> =>
            judged.code === 'VALID' ? keyGate.spend(judged.key, now(), { signal }) : { code: judged.code },
        ),
      ),
  }
}

/** That the general limits have counted a call, and how to undo it. */
interface Counted {
  readonly rate: Decision['rate']
  readonly giveBack: () => void
}

const notForUsers = () => invalidFields([{ field: 'method', message: 'must be an rpc that users call' }])
