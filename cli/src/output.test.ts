import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createOutput } from './output.ts'

function opened({ isTTY = false, ...options }: { json?: boolean; color?: boolean; isTTY?: boolean }) {
  const out = Object.assign(new PassThrough(), { isTTY }) as unknown as NodeJS.WriteStream
  const err = new PassThrough() as unknown as NodeJS.WriteStream
  const output = createOutput({ out, err, json: false, color: true, ...options })
  return { output, said: () => String(out.read() ?? ''), noted: () => String(err.read() ?? '') }
}

describe('output', () => {
  it('is lines for people, and remarks apart from them', () => {
    const { output, said, noted } = opened({})
    output.result({ name: 'x' }, ['one', 'two'])
    output.note('by the way')
    expect([said(), noted()]).toEqual(['one\ntwo\n', 'by the way\n'])
  })

  it('is one JSON document for programs, without remarks', () => {
    const { output, said, noted } = opened({ json: true })
    output.result({ name: 'x', absent: undefined }, ['one'])
    output.note('by the way')
    expect([JSON.parse(said()), noted()]).toEqual([{ name: 'x' }, ''])
  })

  it('has colour on a terminal only, and where it is wanted', () => {
    expect(opened({ isTTY: true }).output.style('bold', 'x')).toBe('\x1b[1mx\x1b[22m')
    expect(opened({ isTTY: true, color: false }).output.style('bold', 'x')).toBe('x')
    expect(opened({ isTTY: true, json: true }).output.style('bold', 'x')).toBe('x')
    expect(opened({ isTTY: false }).output.style('bold', 'x')).toBe('x')
  })
})
