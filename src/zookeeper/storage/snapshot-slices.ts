/** The work of a snapshot, cut so that clients are served between the slices: by bytes, by znodes and by time, whichever ends a slice first. */
import type { Clock } from '../../host/host.ts'
import { passedMax, type TreeSnapshot } from '../znodes/tree.ts'
import type { SnapshotWriter } from './snapshot-write.ts'

/** A slice ends after so many znodes, sessions or lists: about half a millisecond where nothing else is in the way. */
export const sliceCountMax = 1024
/** And after so many milliseconds, however little it has got done: the clock is looked at every `clockEvery` of them. */
export const sliceMs = 2
const clockEvery = 32

/**
 * Puts everything but the end into `writer`. After each slice others must have their turn: `full` wants the writer flushed, which gives it to
 * them; `pause` only the end of the loop's turn.
 */
export function* snapshotSlices(view: TreeSnapshot, writer: SnapshotWriter, clock: Clock): Generator<'full' | 'pause'> {
  let count = 0
  let until = clock.monotonic() + sliceMs
  const isOver = (): boolean => ++count >= sliceCountMax || (count % clockEvery === 0 && clock.monotonic() >= until)
  const begin = (): void => {
    count = 0
    until = clock.monotonic() + sliceMs
  }
  writer.begin()
  writer.sessions(view.sessionCount)
  for (let index = 0; index < view.sessionCount; index++) {
    writer.session(view.sessionIds[index], view.sessionTimeouts[index])
    if (!isOver() && !writer.full) continue
    yield writer.full ? 'full' : 'pause'
    begin()
  }
  writer.acls(view.acls.length)
  for (const { id, acl } of view.acls) {
    writer.acl(id, acl)
    if (!isOver() && !writer.full) continue
    yield writer.full ? 'full' : 'pause'
    begin()
  }
  const walk = view.walk()
  for (let step = walk.next(); step !== 'end'; step = walk.next()) {
    if (step === 'znode') writer.node(walk.path, walk.aclId, walk.node)
    else count += passedMax - 1
    if (!isOver() && !writer.full) continue
    yield writer.full ? 'full' : 'pause'
    begin()
  }
}
