import type { Expected } from './answers.ts'

/** What to call, and how: the same request over and over, or one that differs by a number. */
export interface LoadOrder {
  readonly port: number
  /** Of each request. */
  readonly headers: Readonly<Record<string, string>>
  readonly lanes: readonly Lane[]
  /** Unless a lane comes to its end first. */
  readonly seconds?: number
}

/** So many calls at a time, each followed by the next. */
export interface Lane {
  readonly name: string
  readonly inFlight: number
  /** The request's message, in base64. */
  readonly message: string
  readonly expected: Expected
  /** Where the message holds digits, and what to put there: each number from 0 on in turn. */
  readonly digits?: {
    readonly at: number
    readonly length: number
    readonly count: number
    /** So many requests in a row with each; once unless told. */
    readonly times?: number
    /** True where the run ends with the last of them; otherwise they begin again. */
    readonly once: boolean
  }
}

/** What the calls of a lane met. */
export interface LaneResult {
  readonly calls: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What a run of load met. */
export interface LoadResult {
  readonly seconds: number
  readonly lanes: Readonly<Record<string, LaneResult>>
  /** What it took of its core, at most 1: near that it is the load that was measured. */
  readonly busy: number
}
