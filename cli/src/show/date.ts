/** "2026-11-22 07:03 UTC": a time of the API for people. */
export const dateOf = (time: string) => `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
