/** Who is that? The first bytes of a connection that does not speak ZooKeeper, named, so that its owner finds the mistake. */

export interface Stranger {
  /** What it speaks and what to do about it, for the log. */
  readonly what: string
  /** What it is told before the connection ends, if it can be told in its own language. */
  readonly answer: string | undefined
}

const httpMethods = new Set(['GET ', 'HEAD', 'POST', 'PUT ', 'DELE', 'OPTI', 'PATC', 'CONN', 'TRAC', 'PRI '])

/** `head`: the first bytes, at least four. Undefined: could be ZooKeeper. */
export function strangerOf(head: Buffer, adminPort: number | undefined): Stranger | undefined {
  // TLS record: type 22 (handshake), version 3.x.
  if (head[0] === 0x16 && head[1] === 0x03)
    return { what: 'a TLS handshake came to the plain client port. Connect without TLS, or to a port that speaks it', answer: undefined }
  if (httpMethods.has(head.toString('latin1', 0, 4))) {
    const hint = adminPort === undefined ? 'The AdminServer, which speaks HTTP, is off' : `The AdminServer, which speaks HTTP, listens on port ${adminPort}`
    const body = `This is a ZooKeeper port; it does not speak HTTP. ${hint}.\n`
    return {
      what: `an HTTP request came to the client port. ${hint}`,
      answer: `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    }
  }
  if (head.toString('latin1', 0, 4) === 'SSH-') return { what: 'an SSH client came to the client port', answer: undefined }
  // Kafka: a size, then the API's key and version; a ZooKeeper handshake has four zero bytes there.
  if (head.length >= 8) {
    const apiKey = head.readInt16BE(4)
    const version = head.readInt16BE(6)
    if (apiKey >= 0 && apiKey <= 100 && version >= 0 && version <= 30 && (apiKey > 0 || version > 0))
      return { what: `a Kafka client (API ${apiKey}, version ${version}) came to the client port. This is ZooKeeper; brokers usually listen on 9092`, answer: undefined }
  }
  return undefined
}
