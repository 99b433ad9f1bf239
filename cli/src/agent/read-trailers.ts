// Names and values, each a line of what RFC 9110 allows.
const TRAILERS =
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\n[\t\x20-\x7e\x80-\xff]*(?:\n[!#$%&'*+.^_`|~0-9A-Za-z-]+\n[\t\x20-\x7e\x80-\xff]*)*$/

/** The trailers of a frame as lines that are written behind the last chunk; undefined where they are none. */
export function readTrailers(frame: string): string | undefined {
  if (frame === '') return ''
  if (!TRAILERS.test(frame)) return undefined
  const lines = frame.split('\n')
  let text = ''
  for (let i = 0; i < lines.length; i += 2) text += `${lines[i]}: ${lines[i + 1]}\r\n`
  return text
}
