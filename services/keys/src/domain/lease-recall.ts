/** What became of those who were asked to settle what they hold of a key. */
export interface Recalled {
  /** Those that are no more. */
  readonly gone: readonly string[]
  /** Those that did not answer, or could not be asked. */
  readonly silent: readonly string[]
}

/** Asks holders to settle what they hold of a key. */
export type Recall = (keyId: string, holders: readonly string[]) => Promise<Recalled>

/** What there is before anyone was asked. */
export const NOBODY_RECALLED: Recalled = { gone: [], silent: [] }
