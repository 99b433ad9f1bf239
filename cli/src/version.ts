import manifest from '../package.json' with { type: 'json' }

/** The command's version. */
export const { version } = manifest
