/** Random schedules of clients, log and coordinator; a failing seed is named. Bugs planted in the machine have to be found. */
import { expect, test } from 'vitest'
import { Group } from '../../../src/kafka/groups/group.ts'
import type { Member } from '../../../src/kafka/groups/members.ts'
import type { GroupValue } from '../../../src/kafka/groups/offsets-records.ts'
import type { Input, JoinInput } from '../../../src/kafka/groups/steps.ts'
import { Simulation } from './simulation.ts'

const seeds = Array.from({ length: Number(process.env.GROUP_SEEDS ?? 200) }, (_, index) => index + 1)
const faultyMs = 120_000

/** Seeds that fail, with the law they break. */
function failures(groupClass: ConstructorParameters<typeof Simulation>[1], enough = Infinity): string[] {
  const found: string[] = []
  for (const seed of seeds) {
    try {
      new Simulation(seed, groupClass).run(faultyMs)
    } catch (error) {
      found.push(`seed ${seed}: ${(error as Error).message}`)
      if (found.length >= enough) break
    }
  }
  return found
}

test(`every law holds for ${seeds.length} seeds`, () => {
  expect(failures(Group)).toEqual([])
})

test('the same seed takes the same course', () => {
  const course = (seed: number) => {
    const simulation = new Simulation(seed)
    simulation.run(faultyMs)
    return [simulation.events, simulation.group.generation, simulation.log.length]
  }
  expect(course(7)).toEqual(course(7))
})

class WithoutFencing extends Group {
  protected override takeOver(input: JoinInput, member: Member): void {
    super.takeOver(input, member, member.id)
  }
}
class CountsFailedAppends extends Group {
  protected override persisted(input: Extract<Input, { kind: 'persisted' }>): void {
    super.persisted({ ...input, errorCode: 0 })
  }
}
class ForgetsGeneration extends Group {
  protected override replayGroup(value: GroupValue): void {
    super.replayGroup(this.state === 'CompletingRebalance' ? value : { ...value, generation: 0 })
  }
}
class WaitsForSyncForEver extends Group {
  protected override syncDeadlinePassed(): void {}
}
test.each([
  ['no fencing of static members', WithoutFencing, /a static member keeps its identity/],
  ['a failed append counts', CountsFailedAppends, /acknowledged|could not be appended|one assignment/],
  ['the generation is lost with the coordinator', ForgetsGeneration, /generation never goes back/],
  ['members that never sync are waited for', WaitsForSyncForEver, /answered by its deadline: a sync/],
])('a planted bug is found: %s', (_, buggy, law) => {
  const found = failures(buggy, 1)
  expect(found.join()).toMatch(law)
})
