import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A page, and the Content-Security-Policy that lets it run what stands in it and nothing else. */
export interface Page {
  readonly html: string
  readonly policy: string
}

/** The page on which an invitation is accepted. Its script and its style are admitted by their hashes. */
export function invitePage(): Page {
  const html = readFileSync(join(import.meta.dirname, 'invite.html'), 'utf8')
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf('script', html)}`,
    `style-src ${hashOf('style', html)}`,
    "connect-src 'self'",
    "form-action 'none'", // the script sends the form; without it a password would be in the URL
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]
  return { html, policy: policy.join('; ') }
}

/** The source expression of the page's one element with this name: https://www.w3.org/TR/CSP3/#grammardef-hash-source */
function hashOf(element: string, html: string): string {
  const [content, ...more] = [...html.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'gs'))].map(
    ([, text = '']) => text,
  )
  if (content === undefined || more.length > 0) throw new Error(`invite.html must have one <${element}>`)
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`
}
