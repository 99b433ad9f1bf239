/** What to say of live connections that were cut off; nothing where there were none. */
export const connectionsCut = (count: number): string[] =>
  count > 0 ? [`✂️ ${count} live connection${count === 1 ? '' : 's'} cut off`] : []
