/** A word within single quotes, for bash and zsh. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
