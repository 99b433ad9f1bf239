import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readFile, rename } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { repository } from '@instatunnel/local/repository'

/** Peers are kept here, each version in a folder of its own. */
const folder = join(repository, '.tools/bench')

/** Debian keeps some programs where only root looks; Go's own packages are nowhere on PATH. */
const furtherPlaces = ['/usr/sbin', '/usr/local/go/bin']

/** Where a program lies, if the machine has it. */
export async function programOnPath(name: string): Promise<string | undefined> {
  for (const path of [...(process.env.PATH ?? '').split(delimiter), ...furtherPlaces]) {
    if (path && (await isThere(join(path, name), constants.X_OK))) return join(path, name)
  }
  return undefined
}

/** A program of crates.io, built on first use, with patience for whatever else runs on the machine. */
export async function builtCrate({
  crate,
  program,
  version,
  args = [],
  locked = true,
}: {
  crate: string
  program: string
  version: string
  args?: string[]
  /** Whether to build with the versions of libraries that its authors had. */
  locked?: boolean
}): Promise<string> {
  const root = join(folder, `${program}-${version}`)
  const built = join(root, 'bin', program)
  if (await isThere(built)) return built
  if (!(await programOnPath('cargo'))) throw new Error(`cargo, which builds ${crate}, is not on PATH`)
  console.error(`building ${program} ${version}: this takes a minute or two…`)
  const install = ['install', '--quiet', '--root', root, ...(locked ? ['--locked'] : []), ...args]
  await run('nice', ['-n', '19', 'cargo', ...install, `${crate}@${version}`])
  return built
}

/** The program of a Go module's folder, built on first use and again where its files have changed. */
export async function builtModule(name: string, source: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(await readFile(join(source, file)))
  const built = join(folder, `${name}-${hash.digest('hex').slice(0, 12)}`, name)
  if (await isThere(built)) return built
  const go = await programOnPath('go')
  if (!go) throw new Error('go, which builds it, is not on PATH')
  console.error(`building ${name}: this takes a minute or two…`)
  await run('nice', ['-n', '19', go, 'build', '-C', source, '-trimpath', '-o', built, '.'])
  return built
}

/** The node_modules with these npm packages, by version; none of their install scripts is run. */
export async function installedPackages(versions: Readonly<Record<string, string>>): Promise<string> {
  const wanted = Object.entries(versions).map(([name, version]) => `${name}@${version}`)
  const root = join(folder, wanted.join('+').replaceAll('/', '-'))
  const modules = join(root, 'node_modules')
  if (await isThere(modules)) return modules
  console.error(`installing ${wanted.join(' and ')}…`)
  await mkdir(folder, { recursive: true })
  const half = await mkdtemp(join(folder, 'half-'))
  const npm = process.env.npm_execpath?.endsWith('.js') ? process.env.npm_execpath : undefined
  const args = ['install', '--prefix', half, '--ignore-scripts', '--no-audit', '--no-fund', ...wanted]
  await run(npm ? process.execPath : 'npm', npm ? [npm, ...args] : args)
  await rename(half, root)
  return modules
}

/** In silence: a failure's message has what it wrote. */
const run = promisify(execFile)

const isThere = (file: string, mode: number = constants.F_OK): Promise<boolean> =>
  access(file, mode).then(
    () => true,
    () => false,
  )
