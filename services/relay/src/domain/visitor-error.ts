import { type ErrorName, errors } from '@instatunnel/kit/errors'
import { MAX_HEAD_BYTES, RESET } from '@instatunnel/kit/frames'

/** What visitors are told where no site answers. */
interface VisitorError {
  readonly error: ErrorName
  readonly title: string
  readonly message: string
  /** Whose turn it is, and what to do. */
  readonly turn: string
  readonly retryAfterSeconds?: number
}

/** Every way in which a visitor's request may fail before a site has answered it. */
export const visitorErrors = {
  unknown: {
    error: 'not_found',
    title: 'No such tunnel',
    message: 'There is no tunnel with this name.',
    turn: 'Check the address. If the tunnel is yours, create it with this subdomain.',
  },
  offline: {
    error: 'tunnel_offline',
    title: 'The tunnel is offline',
    message: 'The tunnel exists, but no agent is connected to it.',
    turn: 'Its owner has to start the agent: instatunnel PORT --subdomain NAME. Then reload.',
  },
  local_down: {
    error: 'tunnel_offline',
    title: 'Nothing listens behind the tunnel',
    message: 'The tunnel is connected, but its local server does not take connections.',
    turn: 'Its owner has to start the server on the port that the agent was given. Then reload.',
  },
  local_broken: {
    error: 'tunnel_offline',
    title: 'The local server broke off',
    message: 'The local server behind the tunnel ended the request without a valid answer.',
    turn: 'Its owner finds the reason in the log of the local server.',
  },
  lost: {
    error: 'tunnel_offline',
    title: 'The tunnel broke off',
    message: 'The agent went away while it worked on this request.',
    turn: 'Try again: the agent reconnects by itself. If it does not, its owner has to start it.',
  },
  too_slow: {
    error: 'timeout',
    title: 'The local server is too slow',
    message: 'The local server behind the tunnel did not answer in time.',
    turn: 'Try again later. Its owner finds the reason at the local server.',
  },
  too_many: {
    error: 'unavailable',
    title: 'Too many requests at once',
    message: 'The tunnel is working on as many requests as it may at once.',
    turn: 'Try again in a moment.',
    retryAfterSeconds: 1,
  },
  crowded: {
    error: 'unavailable',
    title: 'Too many requests from your network',
    message: 'Your address, or its network, has as many requests under way at this tunnel as one may have.',
    turn: 'Wait until some of them are done, then try again.',
    retryAfterSeconds: 1,
  },
  unreadable: {
    error: 'validation_error',
    title: 'Not a valid request',
    message: 'The request is not valid HTTP.',
    turn: 'Whoever made the program that sent it has to look into it.',
  },
  too_large: {
    error: 'headers_too_large',
    title: 'The request is too large',
    message: 'The path and headers of this request are larger than a tunnel carries.',
    turn: 'Clear the cookies of this site, and try again.',
  },
  unavailable: {
    error: 'unavailable',
    title: 'Not available right now',
    message: 'The service is not available right now; try again shortly.',
    turn: 'Try again in a moment: it is our turn.',
    retryAfterSeconds: 1,
  },
} as const satisfies Record<string, VisitorError>

/** The name of one of them. */
export type VisitorFault = keyof typeof visitorErrors

// A tunnel's id goes in front of it where an agent is at another relay.
const MAX_OPENED_BYTES = MAX_HEAD_BYTES - 64

/** What visitors are told where a request's head could not be sent: it is too long, or the agent takes nothing. */
export const faultOfHead = (head: string): VisitorFault =>
  head.length > MAX_OPENED_BYTES ? 'too_large' : 'too_many'

/** What visitors are told where a stream was given up before it was answered, by the code of its reset. */
export const faultOfReset = (code: number): VisitorFault => BY_RESET[code] ?? 'local_broken'

const BY_RESET: Readonly<Record<number, VisitorFault>> = {
  [RESET.local_down]: 'local_down',
  [RESET.local_broken]: 'local_broken',
  [RESET.too_many]: 'too_many',
  [RESET.refused]: 'lost',
  [RESET.lost]: 'lost',
  [RESET.too_slow]: 'too_slow',
  [RESET.crowded]: 'crowded',
}

/** The status that tells of a fault. */
export const statusOf = (fault: VisitorFault): number => errors[visitorErrors[fault].error].http

/** An answer that is finished. */
export interface FinishedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The answer to a visitor: the one error shape, or a page where the browser asks for one. */
export function answerTo(fault: VisitorFault, accept: string | undefined): FinishedAnswer {
  const { error, title, message, turn, retryAfterSeconds }: VisitorError = visitorErrors[fault]
  const { code } = errors[error]
  const status = statusOf(fault)
  const retryAfter = retryAfterSeconds === undefined ? {} : { retry_after: retryAfterSeconds }
  const isPage = accept?.includes('text/html') ?? false
  const body = isPage
    ? page({ status, title, message, turn })
    : JSON.stringify({ error, message, code, ...retryAfter })
  return {
    status,
    headers: {
      'content-type': isPage ? 'text/html; charset=utf-8' : 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      vary: 'accept',
      ...(isPage
        ? {
            'content-security-policy':
              "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
          }
        : {}),
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
    body,
  }
}

const page = (told: { status: number; title: string; message: string; turn: string }) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${told.title}</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 15vh auto; max-width: 34rem; padding: 0 1.5rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem }
small { opacity: .7 }
</style>
<main>
<small>${told.status} · InstaTunnel</small>
<h1>${told.title}</h1>
<p>${told.message}</p>
<p><strong>What now?</strong> ${told.turn}</p>
</main>
</html>
`
