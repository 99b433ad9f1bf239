import type { Goal } from '../goals.ts'
import type { WhenQuiet } from '../quiet.ts'
import type { Platform } from './platform.ts'

/** What a part of the bench is run with. */
export interface Bench {
  readonly platform: Platform
  readonly whenQuiet: WhenQuiet
  /** Of load, a round. */
  readonly seconds: number
}

/** What a part has measured. */
export interface Measured {
  /** For people. */
  readonly table: string
  readonly goals: readonly Goal[]
  /** For the file. */
  readonly results: object
}

/** A part of the bench, which can be run alone. */
export type Part = (bench: Bench) => Promise<Measured>
