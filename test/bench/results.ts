import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { repository } from '@instatunnel/local/repository'

/** Keeps a bench's results as JSON in the data folder; returns where, as seen from the checkout. */
export async function writeResults(name: string, results: object): Promise<string> {
  const folder = join(repository, '.data')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, name)
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
  return relative(repository, file)
}
