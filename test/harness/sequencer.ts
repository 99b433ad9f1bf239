import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Runs the files of all packages side by side, each package's spread over the whole run and its larger ones first: some
 * packages' tests mostly wait and others' mostly work, so that together they leave no core idle.
 */
export class SpreadSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const packages = Map.groupBy(sorted, ({ project }) => project.name)
    const places = [...packages.values()].flatMap((own) =>
      own.map((file, index) => ({ file, place: (index + 0.5) / own.length })),
    )
    return places.sort((a, b) => a.place - b.place).map(({ file }) => file)
  }
}
