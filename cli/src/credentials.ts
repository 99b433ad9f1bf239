import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import {
  chmod,
  type FileHandle,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Refused } from './exit.ts'
import { withFileLock } from './file-lock.ts'

/** A key that is kept for one API. */
export interface StoredKey {
  readonly api_key: string
  /** When it ends, RFC 3339; absent where it never does by itself. */
  readonly expires_at?: string
}

/** The keys that are kept, one for each API. */
export interface Credentials {
  find(api: string): Promise<StoredKey | undefined>
  keep(api: string, key: StoredKey): Promise<void>
  forget(api: string): Promise<void>
}

type Content = Record<string, StoredKey>

/** A key for each of some thousand APIs. */
const MAX_BYTES = 1024 * 1024

/**
 * The keys in `credentials.json` of this folder: for its owner alone. `note` hears when it was not, and is again. A change
 * holds a lock, so that two commands never lose each other's; a symbolic link stays one, and its target is what changes.
 * Throws Refused: credentials_unreadable, credentials_unwritable.
 */
export function openCredentials({
  configDir,
  note,
}: {
  configDir: string
  note: (line: string) => void
}): Credentials {
  const named = join(configDir, 'credentials.json')

  const read = async (): Promise<Content> => {
    const text = await textOf(named, note).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      if (error instanceof Refused) throw error
      throw new Refused('credentials_unreadable', `${named} cannot be read: ${codeOf(error)}`)
    })
    return text === undefined ? {} : contentOf(text, named)
  }

  /** Changes the keys to what `changed` makes of them; undefined for no change. */
  const change = async (changed: (content: Content) => Content | undefined) => {
    try {
      await mkdir(configDir, { recursive: true, mode: 0o700 })
      await chmod(configDir, 0o700)
      await withFileLock(`${named}.lock`, async () => {
        const content = changed(await read())
        if (content) await replace(await targetOf(named), `${JSON.stringify(content, undefined, 2)}\n`)
      })
    } catch (error) {
      if (error instanceof Refused) throw error
      throw new Refused('credentials_unwritable', `${named} cannot be written: ${codeOf(error)}`)
    }
  }

  return {
    find: async (api) => (await read())[api],
    keep: (api, key) => change((content) => ({ ...content, [api]: key })),
    forget: async (api) => {
      if ((await read())[api] === undefined) return
      await change(({ [api]: forgotten, ...others }) => forgotten && others)
    },
  }
}

/** What a symbolic link leads to, be it there or not; the name itself where it is none. */
async function targetOf(name: string): Promise<string> {
  return realpath(name).catch(async (error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
    const target = await readlink(name).catch(() => undefined)
    return target === undefined ? name : resolve(dirname(name), target)
  })
}

/** Renamed into place: a reader, or a kill, meets the old file or the new one. */
async function replace(file: string, text: string): Promise<void> {
  const fresh = join(dirname(file), `.credentials.${randomUUID()}`)
  try {
    await writeFile(fresh, text, { mode: 0o600, flag: 'wx' })
    await rename(fresh, file)
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {})
    throw error
  }
}

/** The file's text; throws Refused where it is no plain file, or too large. */
async function textOf(name: string, note: (line: string) => void): Promise<string> {
  // A FIFO without a writer would never open otherwise.
  const file = await open(name, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { mode, size } = await plain(file, name)
    if (size > MAX_BYTES) throw unreadable(`${name} is larger than 1 MiB`)
    if ((mode & 0o077) !== 0) {
      await file.chmod(0o600)
      note(`${name} was open to others; its mode is 0600 again. Make a new key if somebody may have read it.`)
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

async function plain(file: FileHandle, name: string) {
  const stats = await file.stat()
  if (!stats.isFile()) throw unreadable(`${name} is no plain file`)
  return stats
}

function contentOf(text: string, file: string): Content {
  try {
    const content: unknown = JSON.parse(text)
    if (isRecord(content) && Object.values(content).every(isStoredKey)) return content as Content
  } catch {}
  throw unreadable(`${file} is not what the command wrote; delete it and log in again`)
}

const unreadable = (message: string) => new Refused('credentials_unreadable', message)

const codeOf = (error: unknown) => (isRecord(error) ? error.code : undefined)

const isStoredKey = (value: unknown) => isRecord(value) && typeof value.api_key === 'string'

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
