import { hasControls } from '@instatunnel/kit/validate'
import { z } from 'zod'
import { lowerCased, subdomainFault } from '../domain/subdomain.ts'

const NAME_MAX = 100
const PORT_RANGE = 'must be from 1 to 65535'

const name = z
  .string()
  // Counted as people count: an emoji is one.
  .refine((text) => text.length <= NAME_MAX * 2 && [...text].length <= NAME_MAX && text !== '', {
    message: `must be 1 to ${NAME_MAX} characters`,
    abort: true,
  })
  .refine((text) => !hasControls(text), { message: 'must not hold control characters', abort: true })
  .refine((text) => text.trim() !== '', 'must not be blank')

const subdomain = z
  .string()
  .transform(lowerCased)
  .superRefine((text, context) => {
    const fault = text === '' ? undefined : subdomainFault(text)
    if (fault) context.addIssue({ code: 'custom', message: fault })
  })

const localPort = z.int(PORT_RANGE).min(1, PORT_RANGE).max(65_535, PORT_RANGE)

/** What is chosen about a new tunnel; an empty subdomain is to be made up. */
export const tunnelFields = z.object({ name, subdomain, localPort })

/** What an update chooses anew; an absent field stays as it is. */
export const changedTunnelFields = tunnelFields.partial()
