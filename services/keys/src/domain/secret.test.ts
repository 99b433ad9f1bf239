import { peppersSetting } from '@instatunnel/kit/secret'
import { describe, expect, it } from 'vitest'
import { issueSecret } from './secret.ts'

const peppers = peppersSetting.parse(JSON.stringify({ p1: Buffer.alloc(32, 1).toString('base64') }))

// Byte n gives the n-th of 0-9A-Za-z: "y" is 60, "J" is 19, "A" is 10.
const [A, J, y] = [10, 19, 60]
const drawing = (...draws: number[][]) => {
  const left = [...draws]
  return (bytes: number) => {
    const draw = left.shift()
    if (!draw) throw new Error('drawn too often')
    return Buffer.from([...draw, ...Array(bytes - draw.length).fill(A)])
  }
}

describe('issueSecret', () => {
  it('draws 16 characters after it_, and keeps what lists and finds the secret', () => {
    const { secret, kept } = issueSecret(undefined, { random: drawing([]), peppers })
    expect(secret).toBe('it_AAAAAAAAAAAAAAAA')
    expect(kept).toEqual({
      prefix: 'it_',
      start: 'it_AA',
      masked: 'it_***...AAA',
      pepperId: 'p1',
      hash: expect.any(Buffer),
    })
  })

  it('draws 32 characters after a chosen prefix', () => {
    const { secret, kept } = issueSecret('my-app_', { random: drawing([]), peppers })
    expect(secret).toBe(`my-app_${'A'.repeat(32)}`)
    expect(kept).toMatchObject({ prefix: 'my-app_', start: 'my-app', masked: 'my-app_***...AAA' })
  })

  it.each([
    { prefix: 'e', unlucky: [y, J] },
    { prefix: 'ey', unlucky: [J] },
  ])('draws again after "$prefix" where the secret would begin as a JWT', ({ prefix, unlucky }) => {
    const { secret } = issueSecret(prefix, { random: drawing(unlucky, unlucky, [A]), peppers })
    expect(secret).toBe(prefix + 'A'.repeat(32))
  })
})
