import { expect, it } from 'vitest'
import { plainKey } from '../../../test/key-answers.ts'
import { startRecording } from '../../../test/recording.ts'

it('restores the key and shows it', async () => {
  const call = `POST /v1/auth/keys/${plainKey.id}/restore`
  const { asked, run } = await startRecording({ [call]: plainKey })
  const { code, stdout, stderr } = await run('keys', 'restore', plainKey.id)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(`✅ API key restored\nID:           ${plainKey.id}\n`)
  expect(JSON.parse((await run('keys', 'restore', plainKey.id, '--json')).stdout)).toEqual(plainKey)
  expect(asked).toEqual([
    { call, body: {} },
    { call, body: {} },
  ])
})
