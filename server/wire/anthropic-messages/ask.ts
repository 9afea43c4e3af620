import { readMember, scanObject, skipSpace } from '../json.ts'
import { type Ask, type Members, WireError } from '../wire.ts'
import { isRecord, parsed } from './values.ts'

const QUOTE = 0x22
const OPEN_BRACKET = 0x5b
const MAX_NAME = 256

/** A request for an answer. @throws WireError naming the parameter, as Anthropic's API would refuse it */
export function readMessagesAsk(body: Uint8Array): Ask {
  const ask = readCountAsk(body)
  const limit = readMember(body, ask.members, 'max_tokens')
  // Zero fills the prompt cache and answers nothing.
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 0) {
    const found = limit === undefined ? 'Field required' : 'Must be a whole number of at least 0'
    throw new WireError(`max_tokens: ${found}`, 'max_tokens')
  }
  return ask
}

/** A request to count its tokens: the same without `max_tokens`. @throws WireError naming the parameter */
export function readCountAsk(body: Uint8Array): Ask {
  const members = scanObject(body)
  const model = readModel(body, members)
  requireMessages(body, members)
  requireSystem(body, members)
  const stream = readStream(body, members)
  const endUser = members.has('metadata') ? readEndUser(body, members) : null
  return { body, members, model, stream, wantsUsage: stream, endUser }
}

function readModel(body: Uint8Array, members: Members): string {
  const model = readMember(body, members, 'model')
  if (typeof model !== 'string' || model === '') throw new WireError('model: Field required, a string', 'model')
  if (model.length > MAX_NAME) throw new WireError(`model: At most ${MAX_NAME} characters`, 'model')
  return model
}

function requireMessages(body: Uint8Array, members: Members): void {
  const span = members.get('messages')
  if (span === undefined) throw new WireError('messages: Field required', 'messages')
  if (body[span.start] !== OPEN_BRACKET) throw new WireError('messages: Must be an array', 'messages')
  if (skipSpace(body, span.start + 1) === span.end - 1) {
    throw new WireError('messages: At least one message is required', 'messages')
  }
}

function requireSystem(body: Uint8Array, members: Members): void {
  const span = members.get('system')
  const first = span === undefined ? QUOTE : body[span.start]
  if (first !== QUOTE && first !== OPEN_BRACKET && readMember(body, members, 'system') !== null) {
    throw new WireError('system: Must be a string or an array of text blocks', 'system')
  }
}

function readStream(body: Uint8Array, members: Members): boolean {
  const stream = readMember(body, members, 'stream')
  if (stream === undefined || stream === null || stream === false) return false
  if (stream === true) return true
  throw new WireError('stream: Must be true or false', 'stream')
}

function readEndUser(body: Uint8Array, members: Members): string | null {
  const metadata = readMember(body, members, 'metadata')
  return isRecord(metadata) ? endUserOf(metadata.user_id) : null
}

const TELEMETRY = /^user_[0-9a-f]{64}_account_/
const DEVICE = ['device_id', 'session_id', 'account_uuid']

/** Who the caller says is asking; null for what Claude Code puts there, which names a machine and a session. */
export function endUserOf(userId: unknown): string | null {
  if (typeof userId !== 'string' || userId === '' || TELEMETRY.test(userId)) return null
  const told = userId.startsWith('{') ? parsed(userId) : undefined
  if (isRecord(told) && DEVICE.some((name) => name in told)) return null
  return userId.slice(0, MAX_NAME)
}
