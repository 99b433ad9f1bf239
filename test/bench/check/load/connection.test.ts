import { type Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { AuthorizationService, CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { afterEach, describe, expect, it } from 'vitest'
import { checkHeaders } from '../check-request.ts'
import { type Calls, grpcFrame, openCalls } from './connection.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** Calls a Check that answers with the id of what was asked, or refuses. */
async function open({
  refuses = () => false,
  headers = {},
}: {
  refuses?: (id: string) => boolean
  headers?: Record<string, string>
} = {}) {
  const server = new Server()
  server.addService(AuthorizationService, {
    check(
      call: { request: CheckRequest; metadata: Metadata },
      answer: (error: object | null, response?: object) => void,
    ) {
      const { id = '' } = call.request.attributes?.request?.http ?? {}
      if (refuses(id)) answer({ code: 14, details: 'not now' })
      else answer(null, { status: { code: 0, message: `${call.metadata.get('x-said')}${id}`, details: [] } })
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  closing.push(() => server.forceShutdown())
  const failed = Promise.withResolvers<Error>()
  const calls = openCalls({ port, headers: { ...checkHeaders, ...headers } }, failed.resolve)
  closing.push(calls.close)
  return { ask: (id: string) => ask(calls, id), failure: failed.promise }
}

function ask({ call }: Calls, id: string): Promise<string> {
  const message = CheckRequest.encode(CheckRequest.fromPartial({ attributes: { request: { http: { id } } } }))
  return new Promise((resolve) => call(grpcFrame(message.finish()), (answer) => resolve(answer.toString())))
}

describe('calls on one connection', () => {
  it('are answered each with its own answer, many at once', async () => {
    const { ask } = await open()
    const ids = Array.from({ length: 2000 }, (_, i) => `call ${i}`)
    const answers = await Promise.all(ids.map(ask))
    expect(answers.map((answer, i) => answer.endsWith(ids[i] ?? ''))).not.toContain(false)
  })

  it('pass more than any window of flow control, both ways', async () => {
    const { ask } = await open()
    const long = 'x'.repeat(15_000)
    for (let i = 0; i < 20; i++) expect((await ask(long)).length).toBeGreaterThan(long.length)
  })

  it('carry the same headers each time, short and long', async () => {
    const { ask } = await open({ headers: { 'x-said': 'y'.repeat(1000) } })
    for (let i = 0; i < 3; i++) expect(await ask('')).toContain('y'.repeat(1000))
  })

  it('break off where one is refused', async () => {
    const { ask, failure } = await open({ refuses: (id) => id === 'bad' })
    await ask('good')
    void ask('bad')
    expect((await failure).message).toMatch(/refused/)
  })
})
