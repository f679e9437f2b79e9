/** The handshake: records without a header, and a last byte that old clients do not have. */
import type { Reader } from '../../wire/reader.ts'
import { Writer } from '../../wire/writer.ts'
import type { Message } from '../../wire/codec.ts'
import { ConnectRequest, ConnectResponse } from './records.ts'

/** `readOnly` is undefined where the other side did not send the byte. */
export type ConnectRequestMessage = Message<typeof ConnectRequest> & { readOnly: boolean | undefined }
export type ConnectResponseMessage = Message<typeof ConnectResponse> & { readOnly: boolean | undefined }

/** A request of 44 bytes (up to 3.3) or 45. */
export function readConnectRequest(reader: Reader): ConnectRequestMessage {
  return { ...ConnectRequest.read(reader), readOnly: reader.remaining > 0 ? reader.bool() : undefined }
}
export function encodeConnectRequest(request: ConnectRequestMessage): Buffer {
  const writer = new Writer(64)
  ConnectRequest.write(writer, request)
  if (request.readOnly !== undefined) writer.bool(request.readOnly)
  return writer.toBuffer()
}
/** A response of 36 bytes or 37; the byte may only be sent to a client that sent its own. */
export function readConnectResponse(reader: Reader): ConnectResponseMessage {
  return { ...ConnectResponse.read(reader), readOnly: reader.remaining > 0 ? reader.bool() : undefined }
}
export function encodeConnectResponse(response: ConnectResponseMessage): Buffer {
  const writer = new Writer(64)
  ConnectResponse.write(writer, response)
  if (response.readOnly !== undefined) writer.bool(response.readOnly)
  return writer.toBuffer()
}
