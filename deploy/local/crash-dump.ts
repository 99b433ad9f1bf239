/**
 * Passes the lines of Envoy's log but for its crash dump: after the backtrace a dying Envoy prints the request that it was
 * at, headers and body, and no switch of Envoy turns that off. What it logs begins with its time, what it dumps does not.
 */
export function withoutCrashDump(): (line: string) => boolean {
  let hasCrashed = false
  return (line) => {
    hasCrashed ||= BACKTRACE.test(line)
    return !hasCrashed || LOGGED.test(line)
  }
}

const LOGGED = /^\[\d{4}-\d\d-\d\d [\d:.]+\]\[\d+\]\[\w+\]\[\w+\] /
const BACKTRACE = /^\[\d{4}-\d\d-\d\d [\d:.]+\]\[\d+\]\[critical\]\[backtrace\] /
