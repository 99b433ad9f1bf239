/**
 * What came from elsewhere must not steer the terminal, nor look like what it is not: controls (C0, DEL, C1), format
 * characters (bidirectional, zero-width, tags), line separators, halves of surrogate pairs, and what is never drawn.
 * Variation selectors stay: emoji are made of them.
 */
const UNSAFE = /(?![\u{fe00}-\u{fe0f}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu
const BREAKS = /[\t\n\v\f\r\u0085\u2028\u2029]/g
const BLANKS = /[\s\u0085]+/g // of which U+FEFF is one to JavaScript

/** A text as one line of a terminal: line breaks and tabs become blanks, what is unsafe becomes "�". */
export const lineText = (text: string): string => text.replace(BREAKS, ' ').replace(UNSAFE, '�')

/** As lineText, with blanks in a row as one: a text that was written to be read. */
export const printable = (text: string): string => lineText(text.replace(BLANKS, ' '))

/** JSON in which everything unsafe is escaped: it reads as the same, and can be shown on a terminal. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(UNSAFE, (found) =>
    found === '\n' ? found : escaped(found),
  )

/** RFC 8259, section 7: "\u009b"; two of them past the Basic Multilingual Plane. */
const escaped = (text: string): string =>
  Array.from(
    { length: text.length },
    (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('')
