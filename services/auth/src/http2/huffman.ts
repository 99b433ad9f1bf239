/** The text of bytes[start,end) in HPACK's Huffman code, as latin1; undefined where they are none (RFC 7541 §5.2). */
export function huffmanText(bytes: Buffer, start: number, end: number): string | undefined {
  // No code is shorter than 5 bits; a step may write one byte more than it means.
  const most = Math.floor(((end - start) * 8) / 5) + 2
  const text = most <= scratch.length ? scratch : Buffer.allocUnsafe(most)
  let length = 0
  let step = 0
  let ended = 0
  for (let at = start; at < end; at++) {
    step = steps[((step & 0xff) << 8) | (bytes[at] as number)] as number
    // Both are written whatever the step emits: this costs less than to ask.
    text[length] = step >>> 8
    text[length + 1] = step >>> 16
    length += (step >>> COUNT_SHIFT) & 3
    ended |= step
  }
  if (ended & ENDED || !isPadding[step & 0xff]) return undefined
  return text.toString('latin1', 0, length)
}

/** Bits of each symbol's code; the last one is EOS (RFC 7541, appendix B). Codes of a length follow upon each other. */
const CODE_BITS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]

const EOS = 256
const COUNT_SHIFT = 24
/** Marks a step that meets EOS, which no text may have. */
const ENDED = 1 << 26
const SCRATCH_BYTES = 4096

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** The code as a tree: at 2 * node and the bit that follows is the next node, or ~symbol. The root is 0. */
const tree = treeOf(CODE_BITS)

/** For a node and a byte: the node after it, up to two symbols that end within it, and their number. */
const steps = stepsOf(tree)

/** The nodes at which a text may end: after up to seven bits of EOS, which are ones. */
const isPadding = paddingOf(tree)

function treeOf(codeBits: readonly number[]): Int16Array {
  const nodes = new Int16Array(2 * EOS)
  let made = 1
  let code = 0
  for (let bits = 1; bits <= 30; bits++) {
    code *= 2
    for (const [symbol, length] of codeBits.entries()) {
      if (length !== bits) continue
      let node = 0
      for (let bit = bits - 1; bit > 0; bit--) {
        const next = 2 * node + ((code >>> bit) & 1)
        nodes[next] ||= made++
        node = nodes[next] as number
      }
      nodes[2 * node + (code & 1)] = ~symbol
      code++
    }
  }
  return nodes
}

function stepsOf(nodes: Int16Array): Uint32Array {
  const table = new Uint32Array(EOS << 8)
  for (let index = 0; index < table.length; index++) {
    let node = index >>> 8
    let symbols = 0
    let count = 0
    for (let bit = 7; bit >= 0; bit--) {
      node = nodes[2 * node + ((index >>> bit) & 1)] as number
      if (node >= 0) continue
      if (~node === EOS) symbols |= ENDED
      else symbols |= ~node << (8 + 8 * count++)
      node = 0
    }
    table[index] = symbols | (count << COUNT_SHIFT) | node
  }
  return table
}

function paddingOf(nodes: Int16Array): Uint8Array {
  const marks = new Uint8Array(EOS)
  let node = 0
  for (let bits = 0; bits < 8; bits++) {
    marks[node] = 1
    node = nodes[2 * node + 1] as number
  }
  return marks
}
