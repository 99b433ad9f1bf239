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

  it('steers no terminal, but for its own styles', () => {
    const { output, said } = opened({ isTTY: true })
    const hostile = '\x1b[31m\u009b2J\u202e\nx'
    output.result({}, [`${output.style('bold', hostile)}${hostile}`])
    output.more([hostile])
    expect(said()).toBe('\x1b[1m�[31m�2J� x\x1b[22m�[31m�2J� x\n�[31m�2J� x\n')
  })

  it('is one JSON document for programs, without remarks', () => {
    const { output, said, noted } = opened({ json: true })
    output.result({ name: 'x', absent: undefined }, ['one'])
    output.note('by the way')
    expect([JSON.parse(said()), noted()]).toEqual([{ name: 'x' }, ''])
  })

  it('has colour on a terminal only, and where it is wanted', () => {
    const bold = (options: Parameters<typeof opened>[0]) => {
      const { output, said } = opened(options)
      output.result({}, [output.style('bold', 'x')])
      return [said(), output.screenStyle('bold', 'x')]
    }
    expect(bold({ isTTY: true })).toEqual(['\x1b[1mx\x1b[22m\n', '\x1b[1mx\x1b[22m'])
    expect(bold({ isTTY: true, color: false })).toEqual(['x\n', 'x'])
    expect(bold({ isTTY: true, json: true })).toEqual(['{}\n', 'x'])
    expect(bold({ isTTY: false })).toEqual(['x\n', 'x'])
  })
})
