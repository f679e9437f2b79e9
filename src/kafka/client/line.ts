/** A connection that can be given up at any time, also while it is being made: whoever waits for it, or for an answer on it, is told at once. */
import { ConnectionError, type KafkaConnection } from './connection.ts'

export interface Line {
  /** Rejects when it cannot be made, or is given up before it is. */
  readonly connection: Promise<KafkaConnection>
  /** Closes it; requests without an answer are rejected. */
  readonly giveUp: () => void
}

/** `gone` is what whoever still waits for the connection is told when it is given up. */
export function lineOf(opening: Promise<KafkaConnection>, gone: string): Line {
  let giveUp!: () => void
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = () => {
      reject(new ConnectionError(gone))
      opening.then((connection) => connection.close()).catch(() => undefined)
    }
  })
  return { connection: Promise.race([opening, givenUp]), giveUp }
}
