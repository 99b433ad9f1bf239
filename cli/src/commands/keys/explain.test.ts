import { expect, it } from 'vitest'
import { plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

const call = `POST /v1/auth/keys/${plainKey.id}/explain`
const answer = {
  allowed: false,
  stopped_at: 'scope',
  checks: [
    { name: 'route', passed: true, message: 'GET /v1/tunnels is TunnelService.ListTunnels' },
    { name: 'scope', passed: false, message: 'The key lacks tunnels:read' },
    { name: 'remaining', passed: true, message: '97 calls are left' },
  ],
}

it('prints ticks and crosses, and where it stops', async () => {
  const { asked, run } = await startRecording({ [call]: answer })
  expect(await run('keys', 'explain', plainKey.id, 'get', '/v1/tunnels?a=b')).toEqual({
    code: 0,
    stdout: `✅ route      GET /v1/tunnels is TunnelService.ListTunnels
❌ scope      The key lacks tunnels:read
✅ remaining  97 calls are left
The request would stop at scope
`,
    stderr: '',
  })
  expect(asked).toEqual([{ call, body: { method: 'GET', path: '/v1/tunnels?a=b' } }])
})

it('prints what the API answers with --json, about an address too', async () => {
  const { asked, run } = await startRecording({ [call]: answer })
  const args = ['keys', 'explain', plainKey.id, 'GET', '/v1/tunnels', '--address', '203.0.113.7', '--json']
  expect(JSON.parse((await run(...args)).stdout)).toEqual(answer)
  expect(asked).toEqual([{ call, body: { method: 'GET', path: '/v1/tunnels', address: '203.0.113.7' } }])
})
