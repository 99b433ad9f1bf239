import { describe, expect, it, onTestFinished } from 'vitest'
import { type Answer, AnswerParser, FOLLOWS } from './answer-parser.ts'

/** A parser that writes down what it tells. */
function parsing(follows: (answer: Answer) => 0 | 1 | 2 = () => FOLLOWS.body) {
  const told: unknown[] = []
  const parser = new AnswerParser({
    onBegin: () => told.push('begin'),
    onHead: (answer) => {
      told.push(answer)
      return follows(answer)
    },
    onBody: (chunk) => told.push(chunk.toString('latin1')),
    onComplete: (trailers) => told.push(['complete', ...trailers]),
  })
  onTestFinished(() => parser.close())
  return { told, end: () => parser.end(), read: (text: string) => parser.read(Buffer.from(text, 'latin1')) }
}

const head = (
  status: number,
  reason: string,
  headers: string[] = [],
  more: Partial<Answer> = {},
): Answer => ({
  status,
  reason,
  headers,
  switches: false,
  keepsAlive: true,
  ...more,
})

describe('AnswerParser', () => {
  it('reads one answer after another, wherever the bytes are split', () => {
    const bytes =
      'HTTP/1.1 103 Early Hints\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\nHTTP/1.1 204 \r\n\r\n'
    const whole = [
      ...['begin', head(103, 'Early Hints', ['a', 'b']), ['complete']],
      ...['begin', head(200, 'OK', ['transfer-encoding', 'chunked']), 'ok', ['complete', 'X', 'y']],
      ...['begin', head(204, ''), ['complete']],
    ]
    const joined = (told: unknown[]) => told.filter((each) => each !== 'o' && each !== 'k' && each !== 'ok')
    for (let at = 1; at < bytes.length; at++) {
      const { told, read } = parsing()
      read(bytes.slice(0, at))
      read(bytes.slice(at))
      expect(joined(told)).toEqual(joined(whole))
    }
  })

  it('gives bodies that stay as they are when what they were read from is read over', () => {
    const chunks: Buffer[] = []
    const parser = new AnswerParser({
      onBegin: () => {},
      onHead: () => FOLLOWS.body,
      onBody: (chunk) => chunks.push(chunk),
      onComplete: () => {},
    })
    onTestFinished(() => parser.close())
    const bytes = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody')
    parser.read(bytes)
    bytes.fill('x')
    expect(Buffer.concat(chunks).toString()).toBe('body')
  })

  it('reads heads and trailers of any number', () => {
    const many = Array.from({ length: 2500 }, (_, n) => [`h${n}`, `${n}`])
    const lines = many.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const { told, read } = parsing()
    read(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${lines}\r\n0\r\n${lines}\r\n`)
    expect(told).toEqual([
      'begin',
      head(200, 'OK', ['transfer-encoding', 'chunked', ...many.flat()]),
      ['complete', ...many.flat()],
    ])
  })

  it('leaves what follows a switch of protocols', () => {
    const { told, read } = parsing(() => FOLLOWS.protocol)
    const bytes = 'HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'
    expect(read(`${bytes}\0\xff`)).toBe(bytes.length)
    expect(told[1]).toMatchObject({ status: 101, switches: true })
  })

  it('ends an answer that has no other end with the connection, and no other', () => {
    const open = parsing()
    open.read('HTTP/1.0 200 OK\r\n\r\nsome')
    open.end()
    expect(open.told.slice(1)).toEqual([head(200, 'OK', [], { keepsAlive: false }), 'some', ['complete']])
    const cut = parsing()
    cut.read('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsome')
    expect(cut.end).toThrow(expect.objectContaining({ code: 'HPE_INVALID_EOF_STATE' }))
  })

  it.each([
    ['SSH-2.0-OpenSSH_9.6\r\n', 'HPE_INVALID_CONSTANT'],
    ['HTTP/1.1 200 OK\r\na b: c\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n', 'HPE_LF_EXPECTED'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
    [
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
      'HPE_INVALID_TRANSFER_ENCODING',
    ],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    [`HTTP/1.1 200 OK\r\na: ${'x'.repeat(70_000)}\r\n\r\n`, 'HPE_HEADER_OVERFLOW'],
    ['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\nmore', 'HPE_CLOSED_CONNECTION'],
  ])('is strict about %j', (bytes, code) => {
    const { read } = parsing()
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code }))
  })
})
