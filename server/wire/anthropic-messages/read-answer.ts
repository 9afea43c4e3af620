import { ANSWER_TOOL, TEXT_TOOL, textArgument } from '../emulation.ts'
import type { Completion, Extra, Part } from '../model.ts'
import { AnswerError, WireError } from '../wire.ts'
import { type Place, readBlock } from './blocks.ts'
import { readFinish, readTier } from './finish.ts'
import { readAnthropicUsage } from './usage.ts'
import { ANTHROPIC, isRecord, type Json, record, textOr } from './values.ts'

/** Members that have a place in a completion. */
const MAPPED = new Set([
  'id',
  'type',
  'role',
  'model',
  'content',
  'stop_reason',
  'stop_sequence',
  'stop_details',
  'usage',
])

/** A whole Messages answer. @throws AnswerError when it is none */
export function readMessagesAnswer(answer: unknown): Completion {
  const message = record(answer)
  if (message.type === 'error') throw new AnswerError(`An error: ${JSON.stringify(message.error)?.slice(0, 300)}`)
  if (!Array.isArray(message.content)) throw new AnswerError('The answer has no "content"')
  const extras: Extra[] = []
  const parts = message.content.map((block: unknown, at) => readAnswerBlock(block, { path: `content[${at}]`, extras }))
  const explanation = refusalOf(message)
  if (explanation !== null) parts.push({ type: 'refusal', text: explanation })
  for (const [name, value] of Object.entries(message)) {
    if (!MAPPED.has(name) && value !== null) extras.push({ wire: ANTHROPIC, name, value })
  }
  const calls = parts.some(({ type }) => type === 'tool-call')
  const finish = readFinish(message.stop_reason, message.stop_sequence, calls)
  return {
    id: textOr(message.id),
    model: textOr(message.model),
    createdAtS: null,
    choices: [{ parts, finish, logprobs: null }],
    usage: readAnthropicUsage(message.usage),
    serviceTier: readTier(record(message.usage).service_tier),
    extras,
  }
}

function readAnswerBlock(block: unknown, place: Place): Part {
  if (!isRecord(block)) throw new AnswerError(`The answer's ${place.path} is no content block`)
  try {
    return plainCall(readBlock(block, place))
  } catch (error) {
    throw error instanceof WireError ? new AnswerError(`The answer is not as it should be: ${error.message}`) : error
  }
}

/** A call of a tool that stands for something else, as that. */
export function plainCall(part: Part): Part {
  if (part.type !== 'tool-call') return part
  if (part.name === ANSWER_TOOL) return { type: 'text', text: part.arguments }
  if (!part.name.startsWith(TEXT_TOOL)) return part
  return { ...part, kind: 'custom', name: part.name.slice(TEXT_TOOL.length), arguments: textArgument(part.arguments) }
}

/** Why the model declined, where the API tells. @param said an object with `stop_details` */
export function refusalOf(said: Json): string | null {
  return textOr(record(said.stop_details).explanation)
}
