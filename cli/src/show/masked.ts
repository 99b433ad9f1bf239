/** A key as it may be shown: "it_***...def". A prefix other than it_ cannot be told from the secret. */
export function masked(key: string): string {
  if (key.length < 12) return '***'
  return `${key.startsWith('it_') ? 'it_' : ''}***...${key.slice(-3)}`
}
