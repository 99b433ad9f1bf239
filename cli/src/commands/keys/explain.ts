import type { ExplainKeyResponse } from '@instatunnel/proto/keys/v1/api_key_service'
import { Command } from 'commander'
import type { Json } from '../../calls/json.ts'
import { keyPath } from '../../calls/keys.ts'
import { type Deps, signedIn } from '../../deps.ts'
import { fields, flag, list, optional, text } from '../../shape.ts'
import { checkLines } from '../../show/check-lines.ts'

const EXPLANATION = fields({
  allowed: flag,
  stopped_at: optional(text),
  checks: list(fields({ name: text, passed: flag, message: text })),
})

/** `instatunnel keys explain` */
export const explainKey = (deps: Deps): Command =>
  new Command('explain')
    .description('tell which checks a request with an API key would meet, and where it would stop')
    .argument('<id>', 'its id, as `instatunnel keys list` shows it')
    .argument('<method>', 'the method of the request, e.g. GET')
    .argument('<path>', 'its path, e.g. /v1/tunnels')
    .option('--address <address>', 'where it comes from')
    .addHelpText(
      'after',
      `
Nothing is counted. Exits with 0 also where the request would be refused.

Example:
  instatunnel keys explain key_01h… GET /v1/tunnels --address 203.0.113.7`,
    )
    .action(async (id: string, method: string, path: string, { address }: { address?: string }) => {
      const api = await signedIn(deps)
      const body = { method: method.toUpperCase(), path, address }
      const answer = await api.call<Json<ExplainKeyResponse>>('POST', `${keyPath(id)}/explain`, {
        body,
        shape: EXPLANATION,
      })
      deps.output.result(answer, checkLines(answer, deps.output))
    })
