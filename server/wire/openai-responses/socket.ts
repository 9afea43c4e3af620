import { Buffer } from 'node:buffer'
import { isRecord, type Json, record } from '../openai-chat/values.ts'
import { WireError } from '../wire.ts'

/** Responses over a WebSocket: a turn is one message from the client, and its events are one message each back. */

/** Members that belong to HTTP: all turns are streamed, and none outlives its connection. */
const OF_HTTP = ['type', 'stream', 'stream_options', 'background'] as const

/**
 * The request that a client's message stands for, as it would be sent by HTTP.
 * @throws WireError naming the member, for what is no `response.create`
 */
export function requestIn(message: string): Uint8Array {
  const event = parse(message)
  if (event.type !== 'response.create') {
    throw new WireError('"type" must be "response.create": nothing else can be asked for here', 'type')
  }
  if (event.background === true) throw new WireError('"background" can not be used on a WebSocket', 'background')
  if (event.stream_id !== undefined && event.stream_id !== null) {
    throw new WireError('"stream_id" is not supported: turns follow each other; open another connection', 'stream_id')
  }
  const body: Record<string, unknown> = { ...event }
  for (const name of OF_HTTP) delete body[name]
  return Buffer.from(JSON.stringify({ ...body, stream: true }))
}

/** The response that a message goes on from, null: none. */
export function previousIn(request: Uint8Array): string | null {
  const { previous_response_id } = record(JSON.parse(Buffer.from(request).toString()))
  return typeof previous_response_id === 'string' ? previous_response_id : null
}

function parse(message: string): Json {
  let event: unknown
  try {
    event = JSON.parse(message)
  } catch (error) {
    throw new WireError(`The message is not valid JSON: ${(error as Error).message}`)
  }
  if (!isRecord(event)) throw new WireError('The message must be a JSON object')
  return event
}

/** An error as a message. @param body in OpenAI's face */
export function errorEvent(status: number, body: unknown): string {
  const error = record(record(body).error)
  if (error.param === 'previous_response_id' && error.code === 'not_found') {
    // The word that clients of this protocol look for, and then send the whole input again.
    return eventOf(400, { ...error, code: 'previous_response_not_found' })
  }
  return eventOf(status, error)
}

function eventOf(status: number, error: object): string {
  return JSON.stringify({ type: 'error', status, error })
}

/** An error inside a stream has no status of its own: the protocol wants one. */
export function withStatus(data: string, status: number): string {
  const event = record(JSON.parse(data))
  return event.type === 'error' ? JSON.stringify({ ...event, status: event.status ?? status }) : data
}
