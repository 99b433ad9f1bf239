import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startGateway, type TestGateway } from './gateway.ts'

const repository = join(import.meta.dirname, '../..')
const googleapis = 'node_modules/@grpc/grpc-js-xds/deps/googleapis'

/** The one call of every_type.proto, whose request has a field of each type. */
export const everyTypePath = '/v1/every-type/1'

/** A gateway that serves every_type.proto in place of the contract. */
export async function startEveryTypeGateway(): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'every-type-'))
  const descriptors = join(folder, 'descriptors.binpb')
  const config = JSON.stringify({ version: 'v2', modules: [{ path: 'gateway/test' }, { path: googleapis }] })
  try {
    await promisify(execFile)(
      join(repository, 'node_modules/.bin/buf'),
      ['build', '--config', config, '--path', 'gateway/test/every_type.proto', '--output', descriptors],
      { cwd: repository },
    )
    return await startGateway({ descriptors, edit: withEveryType })
  } finally {
    await rm(folder, { recursive: true })
  }
}

const withEveryType = (file: string, text: string) =>
  file.endsWith('.yaml')
    ? text.replace(
        /( +services:\n)(?: +- instatunnel\.\S+\n)+/,
        '$1              - instatunnel.everytype.v1.EveryTypeService\n',
      )
    : text
