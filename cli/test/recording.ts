import { PassThrough } from 'node:stream'
import { json, text } from 'node:stream/consumers'
import { readConfig } from '../src/config.ts'
import { openCredentials } from '../src/credentials.ts'
import { exitCodes, reportFailure } from '../src/exit.ts'
import { createOutput, type Streams } from '../src/output.ts'
import { runProgram } from '../src/program.ts'
import type { Outcome } from './home.ts'
import { startHttp } from './local-servers.ts'

/** What the API was asked. */
export interface Asked {
  /** "GET /v1/auth/keys?page_size=200". */
  readonly call: string
  readonly body?: unknown
}

/** What stands in for the API: it remembers what it was asked, and answers what the test says. */
export interface Recording {
  readonly url: string
  readonly asked: readonly Asked[]
  /** Runs a command against it, in this process and without a terminal. */
  run(...args: string[]): Promise<Outcome>
}

const notFound = { error: 'not_found', message: 'API key not found', code: 4004 }

/** Starts one for this test, with one answer for each call ("GET /v1/auth/keys"); `refusal` is what others get. */
export async function startRecording(
  answers: Readonly<Record<string, object>>,
  refusal: object = notFound,
): Promise<Recording> {
  const asked: Asked[] = []
  const { port } = await startHttp(async (request, response) => {
    const { method, url = '' } = request
    const call = `${method} ${url}`
    asked.push({ call, ...(request.headers['content-length'] && { body: await json(request) }) })
    const answer = answers[call] ?? answers[call.split('?')[0] ?? '']
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer ?? refusal))
  })
  const url = `http://127.0.0.1:${port}`
  return { url, asked, run: (...args) => runIn(url, args) }
}

async function runIn(url: string, args: readonly string[]): Promise<Outcome> {
  const config = readConfig({
    HOME: '/nowhere',
    INSTATUNNEL_API: url,
    INSTATUNNEL_API_KEY: 'it_1234567890abcdef',
  })
  const [input, out, err] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const streams = { in: input, out, err } as unknown as Streams
  const isJson = args.includes('--json')
  const output = createOutput({ ...streams, json: isJson, color: false })
  const credentials = openCredentials({ configDir: config.configDir, note: output.note })
  const code = await runProgram({ config, output, credentials, streams }, args).then(
    () => exitCodes.done,
    (error: unknown) => reportFailure(error, { json: isJson, err }),
  )
  out.end()
  err.end()
  return { code, stdout: await text(out), stderr: await text(err) }
}
