import type { Output } from '../output.ts'
import { printable } from '../terminal-text.ts'

/** Rows as aligned columns under their names; nothing where there are no rows. */
export function tableOf(rows: readonly Readonly<Record<string, string>>[], { style }: Output): string[] {
  const [first] = rows
  if (!first) return []
  const names = Object.keys(first)
  const cells = [names, ...rows.map((row) => names.map((name) => printable(row[name] ?? '')))]
  const widths = names.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? ''))))
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell)))
      .join('  ')
      .trimEnd(),
  )
  return lines.map((line, index) => (index === 0 ? style('bold', line) : line))
}

const widthOf = (text: string) => [...text].length
