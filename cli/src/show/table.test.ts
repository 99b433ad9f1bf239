import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { createOutput } from '../output.ts'
import { tableOf } from './table.ts'

const stream = new PassThrough() as unknown as NodeJS.WriteStream
const output = createOutput({ out: stream, err: stream, json: false, color: true })

it('aligns columns under their names', () => {
  const rows = [
    { ID: 'key_1', NAME: 'CI/CD Key', KEY: 'it_***...def' },
    { ID: 'key_12345', NAME: 'Grüße', KEY: '***...abc' },
  ]
  expect(tableOf(rows, output)).toEqual([
    'ID         NAME       KEY',
    'key_1      CI/CD Key  it_***...def',
    'key_12345  Grüße      ***...abc',
  ])
})

it('is nothing without rows', () => {
  expect(tableOf([], output)).toEqual([])
})
