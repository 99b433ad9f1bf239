import { execFile } from 'node:child_process'

/** How much of a failed command's output is shown. */
const shownLines = 30
const outputBytesMax = 64 * 1024 * 1024

/**
 * Our own environment for the tools that we run: turbo reports to nobody, and an empty HOME is none, since many would
 * make folders of that "home" in the checkout.
 */
export function quietEnvironment() {
  const { HOME, ...rest } = process.env
  const quiet = { TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }
  return { ...rest, ...(HOME ? { HOME } : {}), ...quiet }
}

/**
 * Runs a command in silence; when it fails, the error holds the end of what it wrote.
 *
 * @param {string} folder @param {string} command @param {string[]} args
 * @returns {Promise<void>}
 */
export function runQuietly(folder, command, args) {
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { cwd: folder, env: quietEnvironment(), maxBuffer: outputBytesMax },
      (error, stdout, stderr) => {
        if (!error) return resolve()
        const tail = `${stdout}${stderr}`.trimEnd().split('\n').slice(-shownLines).join('\n')
        reject(new Error(`${[command, ...args].join(' ')} failed (${error.code}):\n${tail}`))
      },
    )
  })
}
