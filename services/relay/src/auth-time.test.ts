import { status } from '@grpc/grpc-js'
import { clocksDiffer, commonRefusals, Refusal } from '@instatunnel/kit/refusal'
import { statusOf } from '@instatunnel/kit/status'
import { describe, expect, it } from 'vitest'
import { readAuthTime } from './auth-time.ts'

const TIME = new Date('2026-07-01T12:00:00.250Z')
const failing = (refusal: Refusal) =>
  readAuthTime({ getTime: () => Promise.reject(statusOf(refusal, commonRefusals)) })

describe('the time that auth tells', () => {
  it('is the answer’s', async () => {
    expect(await readAuthTime({ getTime: async () => ({ time: TIME }) })()).toBe(TIME.getTime())
  })

  it('is the refusal’s where our own token is out of time there', async () => {
    expect(await failing(clocksDiffer(TIME))()).toBe(TIME.getTime())
  })

  it('is not known where auth’s own clock is wrong, or auth is away', async () => {
    const code = status.UNAVAILABLE
    await expect(failing(clocksDiffer())()).rejects.toMatchObject({ code })
    await expect(failing(new Refusal('UNAVAILABLE', 'away'))()).rejects.toMatchObject({ code })
  })
})
