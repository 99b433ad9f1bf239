/** That a tunnel has another subdomain since then. */
export interface Renamed {
  readonly tunnelId: string
  readonly subdomain: string
  /** The one that it had, where that was told. */
  readonly former?: string
  readonly at: Date
}
