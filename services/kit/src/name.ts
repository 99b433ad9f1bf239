import { z } from 'zod'
import { hasControls } from './validate.ts'

const MAX = 100

/** The name of a key or tunnel: 1 to 100 characters, not blank. Counted as people count: an emoji is one. */
export const nameField = z
  .string()
  .refine((text) => text !== '' && text.length <= MAX * 2 && [...text].length <= MAX, {
    error: `must be 1 to ${MAX} characters`,
    abort: true,
  })
  .refine((text) => !hasControls(text), { error: 'must not hold control characters', abort: true })
  .refine((text) => text.trim() !== '', 'must not be blank')
