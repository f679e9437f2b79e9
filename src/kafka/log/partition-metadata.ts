/**
 * `partition.metadata`: which topic a partition's directory belongs to.
 *
 *     version: 0\n topic_id: <base64url>        without a newline at the end
 */
import { CorruptFileError } from './corrupt-file-error.ts'

export const partitionMetadataText = (topicId: string): string => `version: 0\ntopic_id: ${topicId}`

/** The topic id; throws `CorruptFileError` when the file says none. */
export function parsePartitionMetadata(path: string, text: string): string {
  const match = /^version: (\d+)\r?\ntopic_id: ([A-Za-z0-9_-]{22})\s*$/.exec(text)
  if (!match) throw new CorruptFileError(path, 0, `'${text.slice(0, 60)}' is not 'version: 0' and 'topic_id: …'. If the directory is this topic's, delete the file: the controller tells the id again. If it is another's, move the directory away`)
  if (match[1] !== '0') throw new CorruptFileError(path, 0, `version ${match[1]}; known is 0`)
  if (match[2] === 'AAAAAAAAAAAAAAAAAAAAAA') throw new CorruptFileError(path, 11, 'the topic id is zero')
  return match[2]
}
