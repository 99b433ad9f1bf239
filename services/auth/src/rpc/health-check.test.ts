import { expect, it } from 'vitest'
import { framed } from '../domain/grpc-frame.ts'
import { healthCheck } from './health-check.ts'

it('says whether the whole is serving, in the words of grpc.health.v1', () => {
  expect([...healthCheck(() => true)(Buffer.alloc(0))]).toEqual([...framed(Buffer.from([8, 1]))])
  expect([...healthCheck(() => false)(Buffer.alloc(0))]).toEqual([...framed(Buffer.from([8, 2]))])
})

it('knows no other service', () => {
  expect(() => healthCheck(() => true)(Buffer.from('\n\u0004auth'))).toThrow(
    expect.objectContaining({ reason: 'NO_SUCH_SERVICE' }),
  )
})
