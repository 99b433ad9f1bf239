/** A table for people: columns as wide as what they hold, numbers to the right. */
export function formatTable(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const columns = Object.keys(rows[0] ?? {})
  const cells = rows.map((row) => columns.map((column) => shown(row[column])))
  const widths = columns.map((column, i) =>
    Math.max(column.length, ...cells.map((row) => (row[i] ?? '').length)),
  )
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ')
  return [line(columns), ...cells.map(line)].join('\n')
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}

const shown = (cell: string | number | undefined) =>
  typeof cell === 'number'
    ? (cell >= 100 ? Math.round(cell) : Number(cell.toPrecision(3))).toString()
    : (cell ?? '')
