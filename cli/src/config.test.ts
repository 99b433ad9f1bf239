import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'
import { UsageError } from './exit.ts'

const home = '/home/ada'
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'instatunnel-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const failing = (environment: Record<string, string>) => {
  try {
    readConfig(environment)
  } catch (error) {
    return error
  }
  return undefined
}

describe('INSTATUNNEL_API', () => {
  it('is the base URL, without a slash at its end', () => {
    expect(readConfig({ INSTATUNNEL_API: 'https://api.example.com/' }).api).toBe('https://api.example.com')
    expect(readConfig({ INSTATUNNEL_API: 'http://localhost:8080' }).api).toBe('http://localhost:8080')
  })

  it('is that of the local stack where it is not set, or empty', () => {
    const file = join(folder, 'api-url')
    writeFileSync(file, 'http://tunnels.test:9090\n')
    for (const environment of [{}, { INSTATUNNEL_API: '' }])
      expect(readConfig(environment, file).api).toBe('http://tunnels.test:9090')
  })

  it('is localhost:8080 where there is no local stack either', () => {
    expect(readConfig({}, join(folder, 'nothing')).api).toBe('http://localhost:8080')
    writeFileSync(join(folder, 'garbage'), '\0')
    expect(readConfig({}, join(folder, 'garbage')).api).toBe('http://localhost:8080')
  })

  it.each([
    'localhost:8080',
    'ftp://example.com',
    'https://example.com/v1',
    'https://example.com?key=it_1234567890abcdef',
    'https://example.com#key',
    'https://ada:it_1234567890abcdef@example.com',
    'not a URL',
  ])('is refused as %s, without showing it', (INSTATUNNEL_API) => {
    const error = failing({ INSTATUNNEL_API })
    expect(error).toBeInstanceOf(UsageError)
    expect(error).toHaveProperty(
      'message',
      'INSTATUNNEL_API must be an http:// or https:// URL without a path',
    )
  })
})

describe('INSTATUNNEL_API_KEY', () => {
  it('is taken without the blanks around it', () => {
    expect(readConfig({ INSTATUNNEL_API_KEY: ' it_1234567890abcdef\n' }).apiKey).toBe('it_1234567890abcdef')
    for (const INSTATUNNEL_API_KEY of ['', ' \n'])
      expect(readConfig({ INSTATUNNEL_API_KEY }).apiKey).toBeUndefined()
  })

  it.each(['it_1234 567890abcdef', 'it_1234\r\nX-Other: 1', 'ключ', 'x'.repeat(4097)])(
    'is refused where no header can carry it, without showing it (%#)',
    (INSTATUNNEL_API_KEY) => {
      expect(failing({ INSTATUNNEL_API_KEY })).toEqual(new UsageError('INSTATUNNEL_API_KEY is no API key'))
    },
  )
})

describe('the folder of what is kept', () => {
  it('is in XDG_CONFIG_HOME, and in ~/.config where that is not set or relative', () => {
    expect(readConfig({ HOME: home, XDG_CONFIG_HOME: '/etc/xdg' }).configDir).toBe('/etc/xdg/instatunnel')
    for (const environment of [{}, { XDG_CONFIG_HOME: '' }, { XDG_CONFIG_HOME: 'config' }])
      expect(readConfig({ HOME: home, ...environment }).configDir).toBe(join(home, '.config/instatunnel'))
  })
})

describe('colour', () => {
  it('is left out with NO_COLOR, whatever its value, and on a dumb terminal', () => {
    expect(readConfig({}).color).toBe(true)
    expect(readConfig({ NO_COLOR: '' }).color).toBe(true)
    expect(readConfig({ NO_COLOR: '0' }).color).toBe(false)
    expect(readConfig({ TERM: 'dumb' }).color).toBe(false)
  })
})
