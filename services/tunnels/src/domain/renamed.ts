/** That a tunnel has another subdomain. */
export interface Renamed {
  readonly tunnelId: string
  readonly subdomain: string
  /** The one that it had. */
  readonly former: string
  readonly at: Date
}

/** Tells every relay, and resolves when the new name answers and the old one does no more; within a second. */
export type TellRenamed = (renamed: Renamed) => Promise<void>
