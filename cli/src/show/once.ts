import type { Output } from '../output.ts'

/** Says that a secret is not shown again, and where to put it. */
export const noteOnce = ({ note }: Output): void =>
  note(
    'It is not shown again: put it where you keep secrets; `instatunnel auth set-key -` reads it for use here',
  )
