import { expect, it } from 'vitest'
import { createLog } from './log.ts'
import { repeat } from './repeat.ts'

it('does its work again and again, also after it failed, and ends with what is under way', async () => {
  const logged: { msg: string }[] = []
  const log = createLog('kit', 'warn', { write: (line) => logged.push(JSON.parse(line)) })
  let times = 0
  let isAborted: boolean | undefined
  const { promise: third, resolve: begun } = Promise.withResolvers<void>()
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const repeated = repeat(
    async (signal) => {
      times++
      if (times === 1) throw new Error('not yet')
      if (times < 3) return
      begun()
      await held
      isAborted = signal.aborted
    },
    { everyMs: 1, log },
  )
  await third
  const closed = repeated.close()
  release()
  await closed
  expect({ times, isAborted }).toEqual({ times: 3, isAborted: true })
  expect(logged).toMatchObject([{ cause: 'Error: not yet', msg: 'failed, and is tried again later' }])
})
