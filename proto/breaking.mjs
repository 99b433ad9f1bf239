// `buf breaking` against main: nothing that clients rely on, on the wire or in JSON, may change its meaning.
// buf cannot read main's files by itself, for they import what npm installs: they are laid out beside a link to it.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const run = (command, ...args) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
const commitOf = (ref) => {
  try {
    return run('git', 'rev-parse', '--verify', '--quiet', `${ref}^{commit}`)
  } catch {
    return undefined
  }
}

// On main itself, what the last commit changed is compared; a first commit has nothing before it.
const head = commitOf('HEAD')
const main = commitOf('origin/main') ?? commitOf('main')
const base = main === head ? commitOf('HEAD~1') : main
if (base !== undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'instatunnel-breaking-'))
  try {
    run('sh', '-c', `git archive ${base} proto | tar -x -C '${folder}'`)
    symlinkSync(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'))
    const before = join(folder, 'before.binpb')
    const now = join(folder, 'now.binpb')
    const build = ['build', '--config', 'proto/buf.yaml', '--path', 'proto/instatunnel', '-o']
    execFileSync('buf', [...build, before], { cwd: folder, stdio: 'inherit' })
    execFileSync('buf', [...build, now], { stdio: 'inherit' })
    // JSON names are public through REST. What access.v1 declares are options of rpcs: they are read from the descriptor
    // set that each release generates for itself, and are in no message that anybody sends.
    const rules = '{"version":"v2","breaking":{"use":["WIRE_JSON"],"ignore":["instatunnel/access"]}}'
    const compare = ['breaking', now, '--against', before, '--exclude-imports', '--config', rules]
    execFileSync('buf', compare, { stdio: 'inherit' })
  } catch (error) {
    process.exitCode = error.status || 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
