import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Streams } from './output.ts'
import { readSecrets } from './stdin.ts'

const read = (text: string, whats = ['invitation', 'password']) => {
  const input = new PassThrough()
  input.end(text)
  return readSecrets({ in: input } as unknown as Streams, whats)
}

describe('readSecrets', () => {
  it('reads a line each, whatever ends the lines', async () => {
    for (const text of ['iti_a\npass word\n', 'iti_a\r\npass word\r\n', 'iti_a\npass word'])
      expect(await read(text)).toEqual(['iti_a', 'pass word'])
    expect(await read('pass word\n', ['password'])).toEqual(['pass word'])
  })

  it.each([
    ['', 'There is no invitation and the password on standard input'],
    ['iti_a\n', 'There is no password on line 2 of standard input'],
    ['\npass word\n', 'There is no invitation on line 1 of standard input'],
    ['a\nb\nc\n', 'There are more lines on standard input than secrets to read'],
  ])('refuses %j', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message)
  })
})
