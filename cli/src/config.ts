import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { UsageError } from './exit.ts'

/** The environment, as main.ts hands it on. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Where the API is while nobody says otherwise and no local stack runs. */
const DEFAULT_API = 'http://localhost:8080'

/** Where `npm start` leaves the local stack's address: in the checkout that the command runs from. */
const API_URL_FILE = join(import.meta.dirname, '../../.data/api-url')

/** What the environment says. */
export interface Config {
  /** INSTATUNNEL_API: the API's base URL, "http://localhost:8080"; by default that of the local stack. */
  readonly api: string
  /** INSTATUNNEL_API_KEY: goes before the stored key. */
  readonly apiKey: string | undefined
  /** The folder of what the command keeps: instatunnel/ in XDG_CONFIG_HOME, by default in ~/.config. */
  readonly configDir: string
  /** False where NO_COLOR is set, or the terminal is a dumb one. */
  readonly color: boolean
  /** True where npx, or an npm script, runs the command. */
  readonly underNpm: boolean
}

/** Reads the settings. Stops with the variable's name; its value is never shown, for it may be a secret. */
export function readConfig(environment: Environment, apiUrlFile = API_URL_FILE): Config {
  const set = (name: string) => environment[name] || undefined // an empty variable counts as not set
  const given = set('INSTATUNNEL_API')
  const configHome = set('XDG_CONFIG_HOME')
  return Object.freeze({
    api: given === undefined ? localApi(apiUrlFile) : baseUrl(given),
    apiKey: apiKeyOf(set('INSTATUNNEL_API_KEY')),
    // The XDG specification has relative paths ignored.
    configDir: join(
      configHome && isAbsolute(configHome) ? configHome : join(set('HOME') ?? homedir(), '.config'),
      'instatunnel',
    ),
    color: set('NO_COLOR') === undefined && environment.TERM !== 'dumb',
    underNpm: set('npm_command') !== undefined,
  })
}

/** True for what can be sent as a bearer: printable ASCII without blanks. */
export const isCredential = (text: string) => /^[\x21-\x7e]{1,4096}$/.test(text)

function apiKeyOf(text: string | undefined): string | undefined {
  const key = text?.trim() || undefined
  if (key && !isCredential(key)) throw new UsageError('INSTATUNNEL_API_KEY is no API key')
  return key
}

function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain =
    url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === ''
  if (!plain || url.pathname !== '/')
    throw new UsageError('INSTATUNNEL_API must be an http:// or https:// URL without a path')
  return url.origin
}

/** The local stack's address where there is one. */
function localApi(file: string): string {
  try {
    return baseUrl(readFileSync(file, 'utf8').trim())
  } catch {
    return DEFAULT_API
  }
}
