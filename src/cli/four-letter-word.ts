/** Four-letter words, asked of a ZooKeeper server by its tools. */
import { connect } from 'node:net'

/** Why a server gave no answer, in words. */
export function whyNoAnswer(error: NodeJS.ErrnoException, address: string, port: number): string {
  switch (error.code) {
    case 'ECONNREFUSED': return `nothing listens on ${address}:${port}`
    case 'ECONNRESET': case 'EPIPE': return `${address}:${port} closed the connection without an answer; something else than ZooKeeper may listen there, or it takes no more connections`
    case 'ETIMEDOUT': return `${address}:${port} gave no answer within 5 seconds`
    case 'ENOTFOUND': case 'EAI_AGAIN': return `the name ${address} is unknown`
    default: return `${address}:${port}: ${error.message}`
  }
}
/** Sends a four-letter word and resolves with the whole answer. */
export function askWord(host: string, port: number, word: string): Promise<string> {
  return new Promise((done, failed) => {
    let answer = ''
    const socket = connect({ host, port }, () => socket.write(word))
    socket.setTimeout(5_000, () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    socket.on('error', (error: NodeJS.ErrnoException) => failed('errors' in error ? ((error as unknown as AggregateError).errors[0] as Error) : error))
    socket.on('end', () => (answer === '' ? failed(Object.assign(new Error('closed without an answer'), { code: 'ECONNRESET' })) : done(answer)))
  })
}
