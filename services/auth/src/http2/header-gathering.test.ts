import { describe, expect, it } from 'vitest'
import { HeaderGathering } from './header-gathering.ts'
import { errorCode } from './protocol.ts'

describe('HeaderGathering', () => {
  it('puts together what came, in order', () => {
    const gathering = new HeaderGathering(5, true)
    for (const part of ['one ', '', 'two ', 'three']) gathering.add(Buffer.from(part))
    expect(gathering).toMatchObject({ streamId: 5, endsStream: true })
    expect(gathering.block().toString()).toBe('one two three')
  })

  it.each([
    ['64 KiB', 4, 16_384],
    ['32 frames', 32, 0],
  ])('takes %s and no more: the rest of headers without end is not gathered', (_, count, bytes) => {
    const gathering = new HeaderGathering(1, false)
    for (let added = 0; added < count; added++) gathering.add(Buffer.alloc(bytes))
    expect(gathering.block()).toHaveLength(count * bytes)
    expect(() => gathering.add(Buffer.alloc(1))).toThrow(
      expect.objectContaining({ name: 'ConnectionError', code: errorCode.ENHANCE_YOUR_CALM }),
    )
  })
})
