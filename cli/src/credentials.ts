import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Refused } from './exit.ts'

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

/** The keys in `credentials.json` of this folder: for its owner alone. `note` hears when it was not, and is again. */
export function openCredentials({
  configDir,
  note,
}: {
  configDir: string
  note: (line: string) => void
}): Credentials {
  const file = join(configDir, 'credentials.json')

  const read = async (): Promise<Content> => {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw new Refused('credentials_unreadable', `${file} cannot be read: ${codeOf(error)}`)
    })
    if (text === undefined) return {}
    await closeToOthers(file, note)
    return contentOf(text, file)
  }

  const write = async (content: Content) => {
    // Renamed into place: whoever reads meanwhile, or is killed, leaves the old file or the new one.
    const fresh = `${file}.${randomUUID()}`
    try {
      await mkdir(configDir, { recursive: true, mode: 0o700 })
      await chmod(configDir, 0o700)
      await writeFile(fresh, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
      await rename(fresh, file)
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => {})
      throw new Refused('credentials_unwritable', `${file} cannot be written: ${codeOf(error)}`)
    }
  }

  return {
    find: async (api) => (await read())[api],
    keep: async (api, key) => write({ ...(await read()), [api]: key }),
    forget: async (api) => {
      const { [api]: forgotten, ...others } = await read()
      if (forgotten) await write(others)
    },
  }
}

async function closeToOthers(file: string, note: (line: string) => void): Promise<void> {
  const { mode } = await stat(file)
  if ((mode & 0o077) === 0) return
  await chmod(file, 0o600)
  note(`${file} was open to others; its mode is 0600 again. Make a new key if somebody may have read it.`)
}

function contentOf(text: string, file: string): Content {
  try {
    const content: unknown = JSON.parse(text)
    if (isRecord(content) && Object.values(content).every(isStoredKey)) return content as Content
  } catch {}
  throw new Refused(
    'credentials_unreadable',
    `${file} is not what the command wrote; delete it and log in again`,
  )
}

const codeOf = (error: unknown) => (isRecord(error) ? error.code : undefined)

const isStoredKey = (value: unknown) => isRecord(value) && typeof value.api_key === 'string'

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
