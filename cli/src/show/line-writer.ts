/** Writes lines, those of one turn of the event loop at once: a busy tunnel has thousands in a second. */
export function lineWriter(out: NodeJS.WritableStream): { line(text: string): void; flush(): void } {
  let waiting = ''
  const flush = () => {
    const text = waiting
    waiting = ''
    if (text !== '') out.write(text)
  }
  return {
    line: (text) => {
      if (waiting === '') setImmediate(flush)
      waiting += `${text}\n`
    },
    flush,
  }
}
