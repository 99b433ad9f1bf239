import {
  type Environment,
  listenAddress,
  neighbourSettings,
  readSettings,
  wholeNumber,
} from '@instatunnel/kit/config'
import { z } from 'zod'

const anyAddress = /^(0\.0\.0\.0|\[::\]):/

const settings = z
  .object({
    ...neighbourSettings,
    /** Where to take what the gateway sends, agents and visitors, host:port. Nobody else may reach it. */
    LISTEN: listenAddress.default('127.0.0.1:50054'),
    /** Where to take other relays' requests, host:port; port 0 is any free one. */
    PEER_LISTEN: listenAddress.default('127.0.0.1:0'),
    /** Where other relays reach PEER_LISTEN, host:port; left out, at the very address, which must be one then. */
    PEER_ADDRESS: listenAddress.optional(),
    /** Where auth serves gRPC: a gRPC target. */
    AUTH_ADDRESS: z.string().default('127.0.0.1:50051'),
    /** Where tunnels serves gRPC: a gRPC target. */
    TUNNELS_ADDRESS: z.string().default('127.0.0.1:50053'),
    /** The public domain that subdomains lie under. */
    DOMAIN: z
      .string()
      .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, 'must be a host name in lower case, without a port')
      .default('localhost'),
    /** Where the gateway is reached from outside; sites share its scheme and port. */
    PUBLIC_URL: z
      .string()
      .regex(/^https?:\/\/[^/?#]+\/?$/, 'must be http:// or https://, a host and at most a port')
      .transform((text, context) => {
        if (URL.canParse(text)) return new URL(text)
        context.addIssue({ code: 'custom', message: 'must be a URL' })
        return z.NEVER
      })
      .prefault('http://localhost:8080'),
    /**
     * How long a local server may take to answer once it has the whole request, and to take a piece of what a visitor
     * sends; 0 for no limit. While bytes move nothing is cut. A tunnel's own response_timeout goes before it.
     */
    RESPONSE_TIMEOUT_SECONDS: wholeNumber(0, 3600).default(120),
    /** Requests that one agent works on at once; further ones are answered 503. One client address gets a quarter, its network half. */
    MAX_REQUESTS_PER_AGENT: wholeNumber(1, 100_000).default(1000),
    /** WebSockets that one agent has open at once, beside its requests; one client address gets a quarter, its network half. */
    MAX_WEBSOCKETS_PER_AGENT: wholeNumber(1, 100_000).default(1000),
    /** Agents that one tunnel may have at each relay. */
    MAX_AGENTS_PER_TUNNEL: wholeNumber(1, 1000).default(32),
  })
  .refine(({ PEER_LISTEN, PEER_ADDRESS }) => PEER_ADDRESS !== undefined || !anyAddress.test(PEER_LISTEN), {
    path: ['PEER_ADDRESS'],
  })

/** The service's settings. */
export type Config = Readonly<z.infer<typeof settings>>

/** Reads the settings, or stops with the names of those at fault. */
export const readConfig = (environment: Environment): Config => readSettings(environment, settings)
