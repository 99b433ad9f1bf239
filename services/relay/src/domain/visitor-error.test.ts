import { errors } from '@instatunnel/kit/errors'
import { expect, it } from 'vitest'
import { answerTo, type VisitorFault, visitorErrors } from './visitor-error.ts'

const faults = Object.keys(visitorErrors) as VisitorFault[]

it('answers programs in the error shape, with its row of the table', () => {
  for (const fault of faults) {
    const { status, headers, body } = answerTo(fault, '*/*')
    const told = JSON.parse(body)
    const { http, code } = errors[told.error as keyof typeof errors]
    expect({ status, code: told.code }, fault).toEqual({ status: http, code })
    expect(told.message, fault).toBe(visitorErrors[fault].message)
    expect(headers, fault).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' })
  }
})

it('answers browsers with a page that needs nothing else, and says whose turn it is', () => {
  for (const fault of faults) {
    const { headers, body } = answerTo(fault, 'text/html,application/xhtml+xml,*/*;q=0.8')
    expect(headers['content-type'], fault).toBe('text/html; charset=utf-8')
    expect(Number(headers['content-length']), fault).toBe(Buffer.byteLength(body))
    expect(body, fault).toContain(visitorErrors[fault].turn)
    expect(body, fault).not.toMatch(/src=|href=|<script|url\(/)
  }
})

it('says when to come again where that is soon', () => {
  expect(answerTo('too_many', undefined)).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  expect(answerTo('offline', undefined).headers).not.toHaveProperty('retry-after')
})
