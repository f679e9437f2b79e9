import { describe, expect, test } from 'vitest'
import { Election } from '../../../src/zookeeper/zab/election.ts'
import type { ElectionSettings } from '../../../src/zookeeper/zab/election.ts'
import { weightOf } from '../../../src/zookeeper/zab/quorum-config.ts'
import type { Vote } from '../../../src/zookeeper/zab/vote.ts'
import { ensemble, runElections, Violation } from './election-world.ts'

/** Which of these seeds break a rule, and how the first of them says it. */
function violationsOf(make: (settings: ElectionSettings) => Election, seeds: number): { count: number; first: string } {
  let count = 0
  let first = ''
  for (let seed = 0; seed < seeds; seed++)
    try {
      runElections({ seed, make })
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      if (count++ === 0) first = error.message
    }
  return { count, first }
}

test('elections under loss, doubles, partitions, crashes and late starts: one leader, by a quorum, with the best history, known to all in the end', () => {
  expect(violationsOf((settings) => new Election(settings), 400)).toEqual({ count: 0, first: '' })
})
test('the same seed is the same run', () => {
  for (const seed of [1, 17, 99]) expect(runElections({ seed }).trace).toEqual(runElections({ seed }).trace)
})

class QuorumOfOne extends Election {
  protected override isQuorum(supporters: ReadonlySet<number>): boolean {
    return supporters.size > 0
  }
}
class VoteOrderWithoutEpoch extends Election {
  protected override isBetterVote(vote: Vote, than: Vote): boolean {
    return weightOf(ensemble(3), vote.leader) !== 0 && (vote.zxid > than.zxid || (vote.zxid === than.zxid && vote.leader > than.leader))
  }
}
class SilentToLateStarters extends Election {
  protected override answerLateStarter(): [] {
    return []
  }
}
describe('the checkers catch a machine that is wrong:', () => {
  test.each([
    ['a quorum of one', QuorumOfOne, /supported by \d only/],
    ['a vote order that ignores the epoch', VoteOrderWithoutEpoch, /proposes \d with epoch/],
    ['a settled peer that does not answer late starters', SilentToLateStarters, /no agreement/],
  ])('%s', (_, Wrong, says) => {
    const { count, first } = violationsOf((settings) => new Wrong(settings), 40)
    expect(count).toBeGreaterThan(0)
    expect(first).toMatch(says)
  })
})
