import { nameField } from '@instatunnel/kit/name'
import { z } from 'zod'
import { lowerCased, subdomainFault } from '../domain/subdomain.ts'

const PORT_RANGE = 'must be from 1 to 65535'

const subdomain = z
  .string()
  .transform(lowerCased)
  .superRefine((text, context) => {
    const fault = text === '' ? undefined : subdomainFault(text)
    if (fault) context.addIssue({ code: 'custom', message: fault })
  })

const TIMEOUT_RANGE = 'must be from 0 to 3600'

const responseTimeout = z.int(TIMEOUT_RANGE).min(0, TIMEOUT_RANGE).max(3600, TIMEOUT_RANGE).nullable()

const localPort = z.int(PORT_RANGE).min(1, PORT_RANGE).max(65_535, PORT_RANGE)

/** What is chosen about a new tunnel; an empty subdomain is to be made up. */
export const tunnelFields = z.object({ name: nameField, subdomain, localPort, responseTimeout })

/** What an update chooses anew; an absent field stays as it is. */
export const changedTunnelFields = tunnelFields.partial()
