import { expect, it } from 'vitest'
import { framed } from '../domain/grpc-frame.ts'
import { healthCheck } from './health-check.ts'

it('says that the whole is serving, in the words of grpc.health.v1', () => {
  expect([...healthCheck(Buffer.alloc(0))]).toEqual([...framed(Buffer.from([8, 1]))])
})

it('knows no other service', () => {
  expect(() => healthCheck(Buffer.from('\n\u0004auth'))).toThrow(
    expect.objectContaining({ reason: 'NO_SUCH_SERVICE' }),
  )
})
