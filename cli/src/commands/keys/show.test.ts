import { expect, it } from 'vitest'
import { plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

it('shows the key, or what the API answers', async () => {
  const { asked, run } = await startRecording({ [`GET /v1/auth/keys/${plainKey.id}`]: plainKey })
  const { code, stdout } = await run('keys', 'show', plainKey.id)
  expect(code).toBe(0)
  expect(stdout).toContain(`ID:           ${plainKey.id}\n`)
  expect(JSON.parse((await run('keys', 'show', plainKey.id, '--json')).stdout)).toEqual(plainKey)
  expect(asked).toHaveLength(2)
})

it('takes an id for no path', async () => {
  const { asked, run } = await startRecording({})
  expect(await run('keys', 'show', '../auth/user?x=y#z')).toEqual({
    code: 1,
    stdout: '',
    stderr: '❌ API key not found\n',
  })
  expect(asked).toEqual([{ call: 'GET /v1/auth/keys/..%2Fauth%2Fuser%3Fx%3Dy%23z' }])
})
