import { canonicalAddress } from '@instatunnel/kit/network'
import { z } from 'zod'
import { verifiedFields } from './key-fields.ts'

const PATH_MAX = 2048
// What the gateway refuses before it looks where a request goes (gateway/place/routes.yaml).
const ODD_PATH = /\/\/|\/\.{1,2}(\/|$)|%2[ef]|%5c|\\/i

/** An address as it is, without a length and without a zone, which means something on one machine only. */
const address = z
  .string()
  .transform((text, context) => {
    const canonical = text.includes('%') ? undefined : canonicalAddress(text)
    if (canonical !== undefined) return canonical
    context.addIssue({ code: 'custom', message: 'must be an IPv4 or IPv6 address' })
    return z.NEVER
  })
  .optional()

/** A secret to be verified, for what, and where it is used from. */
export const verifiedUseFields = verifiedFields.extend({ address })

/** A request of the REST API that is to be explained. */
export const explainedFields = z.object({
  method: z
    .string()
    .regex(/^[a-z]{1,20}$/i, 'must be a method of HTTP, like GET')
    .transform((text) => text.toUpperCase()),
  path: z
    .string()
    .max(PATH_MAX, { error: `must be at most ${PATH_MAX} characters`, abort: true })
    .regex(/^\/[!-~]*$/, { error: 'must begin with a slash and hold printable ASCII only', abort: true })
    .refine((text) => !ODD_PATH.test(text.split('?', 1)[0] ?? ''), {
      error: 'must not hold empty or dot segments, backslashes or encoded separators',
    }),
  address,
})
