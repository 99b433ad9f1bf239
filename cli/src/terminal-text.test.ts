import { describe, expect, it } from 'vitest'
import { jsonText, lineText, printable } from './terminal-text.ts'

const unsafe: readonly [what: string, text: string][] = [
  ['C0 controls', '\0\x07\x08\x0e\x1b\x1f'],
  ['DEL', '\x7f'],
  ['C1 controls', '\u0080\u009b\u009d\u009f'],
  ['bidirectional controls', '\u061c\u200e\u200f\u202a\u202e\u2066\u2069'],
  ['zero-width characters', '\u00ad\u200b\u200c\u200d\u2060'],
  ['letters that are not drawn', '\u115f\u3164\uffa0'],
  ['tags', '\u{e0041}\u{e007f}'],
  ['half a surrogate pair', '\ud800'],
]

describe('a text from elsewhere', () => {
  it.each(unsafe)('is shown without %s', (_what, text) => {
    const shown = '�'.repeat([...text].length)
    expect([lineText(`a${text}b`), printable(`a${text}b`)]).toEqual([`a${shown}b`, `a${shown}b`])
  })

  it('is shown without a byte order mark', () => {
    expect([lineText('a\ufeffb'), printable('a\ufeffb')]).toEqual(['a�b', 'a b'])
  })

  it('stays in its line', () => {
    const text = 'a\nb\r\nc\td\ve\ff\u0085g\u2028h\u2029i'
    expect(lineText(text)).toBe('a b  c d e f g h i')
    expect(printable(text)).toBe('a b c d e f g h i')
  })

  it('keeps its letters, its emoji and the blanks that align it', () => {
    const text = 'Grüße, 日本語, שלום, ❤️ and 🎉:   1'
    expect(lineText(text)).toBe(text)
  })
})

describe('jsonText', () => {
  it('escapes all of them, and reads as the same', () => {
    const value = Object.fromEntries(unsafe.map(([what, text]) => [`${what}${text}`, text]))
    for (const json of [jsonText(value), jsonText(value, 2)]) {
      expect(lineText(json.replaceAll('\n', ''))).toBe(json.replaceAll('\n', ''))
      expect(JSON.parse(json)).toEqual(value)
    }
    expect(jsonText('\u009b\u{e0041}')).toBe('"\\u009b\\udb40\\udc41"')
  })
})
