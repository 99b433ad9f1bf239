import { describe, expect, it } from 'vitest'
import { settings } from '../../test/http2-frames.ts'
import { errorCode, FRAME_HEAD_BYTES, setting } from './protocol.ts'
import { readSettings } from './settings.ts'

const read = (...pairs: readonly (readonly [id: number, value: number])[]) => {
  const bytes = settings(...pairs)
  return readSettings(bytes, FRAME_HEAD_BYTES, bytes.length)
}

describe('readSettings', () => {
  it('reads what matters to us (§6.5.2), the last word on each', () => {
    expect(read()).toEqual({ setsTable: false, initialWindowSize: undefined })
    expect(
      read(
        [setting.INITIAL_WINDOW_SIZE, 1],
        [setting.INITIAL_WINDOW_SIZE, 2],
        [setting.HEADER_TABLE_SIZE, 0],
      ),
    ).toEqual({ setsTable: true, initialWindowSize: 2 })
  })

  it.each([
    ['ENABLE_PUSH 0', setting.ENABLE_PUSH, 0],
    ['ENABLE_PUSH 1', setting.ENABLE_PUSH, 1],
    ['MAX_CONCURRENT_STREAMS 0', setting.MAX_CONCURRENT_STREAMS, 0],
    ['INITIAL_WINDOW_SIZE 0', setting.INITIAL_WINDOW_SIZE, 0],
    ['INITIAL_WINDOW_SIZE 2^31-1', setting.INITIAL_WINDOW_SIZE, 2 ** 31 - 1],
    ['MAX_FRAME_SIZE 16,384', setting.MAX_FRAME_SIZE, 16_384],
    ['MAX_FRAME_SIZE 2^24-1', setting.MAX_FRAME_SIZE, 2 ** 24 - 1],
    ['HEADER_TABLE_SIZE 2^32-1', setting.HEADER_TABLE_SIZE, 2 ** 32 - 1],
    ['a setting that there is not', 0xffff, 2 ** 32 - 1],
  ])('takes %s', (_, id, value) => {
    expect(read([id, value])).toEqual({
      setsTable: id === setting.HEADER_TABLE_SIZE,
      initialWindowSize: id === setting.INITIAL_WINDOW_SIZE ? value : undefined,
    })
  })

  it.each([
    ['ENABLE_PUSH 2', setting.ENABLE_PUSH, 2, errorCode.PROTOCOL_ERROR],
    ['INITIAL_WINDOW_SIZE 2^31', setting.INITIAL_WINDOW_SIZE, 2 ** 31, errorCode.FLOW_CONTROL_ERROR],
    ['MAX_FRAME_SIZE 16,383', setting.MAX_FRAME_SIZE, 16_383, errorCode.PROTOCOL_ERROR],
    ['MAX_FRAME_SIZE 2^24', setting.MAX_FRAME_SIZE, 2 ** 24, errorCode.PROTOCOL_ERROR],
  ])('refuses %s, whatever is said after it', (_, id, value, code) => {
    const refused = expect.objectContaining({ name: 'ConnectionError', code })
    expect(() => read([id, value])).toThrow(refused)
    expect(() => read([id, value], [id, 16_384], [id, 1])).toThrow(refused)
  })

  it.each([1, 5, 7, 11])('refuses %i bytes: settings have six each', (length) => {
    expect(() => readSettings(Buffer.alloc(length), 0, length)).toThrow(
      expect.objectContaining({ code: errorCode.FRAME_SIZE_ERROR }),
    )
  })
})
