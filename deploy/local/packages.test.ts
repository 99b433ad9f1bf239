import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { repository } from './repository.ts'

const read = (file: string) => readFileSync(join(repository, file), 'utf8')
const root = JSON.parse(read('package.json'))
// Run by a bench where its packages are installed on demand.
const elsewhere = ['bench/check/better-auth/server.mjs']

const folders = globSync(root.workspaces as string[], { cwd: repository })

/** The packages that a file imports by name. */
function importedBy(file: string): string[] {
  return [...read(file).matchAll(/^(?:import|export|\}).*? from ['"]([^.'"][^'"]*)['"]/gm)]
    .map(([, module = '']) => module)
    .filter((module) => !module.startsWith('node:'))
    .map((module) => module.split('/', module.startsWith('@') ? 2 : 1).join('/'))
}

it.each(folders)('%s declares the packages that it imports', (folder) => {
  const { name, dependencies = {}, devDependencies = {} } = JSON.parse(read(join(folder, 'package.json')))
  const files = globSync('**/*.{ts,mjs}', {
    cwd: join(repository, folder),
    exclude: ['node_modules/**', ...elsewhere],
  })
  for (const file of files) {
    const forTests = folder === 'test' || file.endsWith('.test.ts') || file.startsWith('test/')
    const declared = { ...dependencies, ...(forTests ? { ...devDependencies, ...root.devDependencies } : {}) }
    const missing = importedBy(join(folder, file)).filter((one) => one !== name && !(one in declared))
    expect({ file, missing }).toEqual({ file, missing: [] })
  }
})
