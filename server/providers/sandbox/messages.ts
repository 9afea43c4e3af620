import { invalidValue, isObject, type Json, missing, wrongType } from './check.ts'
import { Refusal } from './reply.ts'
import { countTokens } from './tokens.ts'

const ROLES = ['system', 'assistant', 'user', 'function', 'tool', 'developer']
const PARTS: Readonly<Record<string, readonly string[]>> = {
  user: ['text', 'image_url', 'input_audio', 'file'],
  assistant: ['text', 'refusal'],
}
/** Tokens that OpenAI adds for each message and before the answer. */
const PER_MESSAGE = 4
const BEFORE_ANSWER = 3
const IMAGE_TOKENS = { low: 85, other: 765 }
const BASE64_CHARS_A_FILE_TOKEN = 6
const BASE64_CHARS_AN_AUDIO_TOKEN = 2_000

/** What the messages say, as far as the sandbox listens. */
export interface Prompt {
  readonly lastUserText: string
  /** Text of the tool results at the very end; null when the last message is none. */
  readonly toolResults: readonly string[] | null
  /** Any message speaks of JSON, which `json_object` demands. */
  readonly saysJson: boolean
  readonly images: number
  readonly textTokens: number
  readonly audioTokens: number
}

/** @throws Refusal as OpenAI would. */
export function readMessages(body: Json): Prompt {
  const { messages } = body
  if (messages === undefined || messages === null) throw missing('messages')
  if (!Array.isArray(messages)) throw wrongType('messages', 'an array of objects', messages)
  if (messages.length === 0) {
    throw new Refusal(
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      'messages',
      'empty_array',
    )
  }
  const prompt = { lastUserText: '', saysJson: false, images: 0, textTokens: BEFORE_ANSWER, audioTokens: 0 }
  const results: string[] = []
  let open = new Set<string>()
  messages.forEach((message: unknown, i) => {
    const at = `messages[${i}]`
    if (!isObject(message)) throw wrongType(at, 'an object', message)
    if (message.role === undefined) throw missing(`${at}.role`)
    if (!ROLES.includes(String(message.role))) throw invalidValue(`${at}.role`, message.role, ROLES)
    const text = readContent(message, at, prompt)
    prompt.textTokens += PER_MESSAGE + countTokens(text)
    prompt.saysJson ||= /json/i.test(text)
    if (message.role === 'user') prompt.lastUserText = text
    if (message.role !== 'tool' && message.role !== 'function') results.length = 0
    else results.push(text)
    open = followToolCalls(message, i, open)
    if (Array.isArray(message.tool_calls)) prompt.textTokens += countTokens(JSON.stringify(message.tool_calls))
  })
  if (open.size > 0) throw unanswered(open, messages.length - 1)
  return { ...prompt, toolResults: results.length === 0 ? null : results }
}

function unanswered(ids: ReadonlySet<string>, i: number): Refusal {
  return new Refusal(
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. " +
      `The following tool_call_ids did not have response messages: ${[...ids].join(', ')}`,
    `messages.[${i}].role`,
    null,
  )
}

/** The ids still waiting for their tool message after this one. */
function followToolCalls(message: Json, i: number, open: Set<string>): Set<string> {
  if (message.role === 'tool') {
    const id = message.tool_call_id
    if (typeof id !== 'string') throw missing(`messages[${i}].tool_call_id`)
    if (!open.delete(id)) {
      throw new Refusal(
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        `messages.[${i}].role`,
        null,
      )
    }
    return open
  }
  if (open.size > 0) throw unanswered(open, i)
  if (message.role !== 'assistant' || !Array.isArray(message.tool_calls)) return open
  return new Set(message.tool_calls.map((call: unknown) => (isObject(call) ? String(call.id) : '')))
}

interface Counts {
  images: number
  textTokens: number
  audioTokens: number
}

function readContent(message: Json, at: string, counts: Counts): string {
  const { content, role } = message
  if (content === undefined || content === null) {
    const calls = message.tool_calls !== undefined || message.function_call !== undefined
    if (role === 'assistant' && (calls || typeof message.refusal === 'string')) return ''
    if (content === undefined) throw missing(`${at}.content`)
    throw wrongType(`${at}.content`, 'one of a string or array of objects', content)
  }
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw wrongType(`${at}.content`, 'one of a string or array of objects', content)
  const allowed = PARTS[String(role)] ?? ['text']
  return content.map((part: unknown, i) => readPart(part, `${at}.content[${i}]`, allowed, counts)).join('\n')
}

function readPart(part: unknown, at: string, allowed: readonly string[], counts: Counts): string {
  if (!isObject(part)) throw wrongType(at, 'an object', part)
  if (part.type === undefined) throw missing(`${at}.type`)
  const type = String(part.type)
  if (!allowed.includes(type)) throw invalidValue(`${at}.type`, part.type, allowed)
  const value = part[type]
  if (type === 'text' || type === 'refusal') {
    if (value === undefined) throw missing(`${at}.${type}`)
    if (typeof value !== 'string') throw wrongType(`${at}.${type}`, 'a string', value)
    return value
  }
  if (value === undefined) throw missing(`${at}.${type}`)
  if (!isObject(value)) throw wrongType(`${at}.${type}`, 'an object', value)
  if (type === 'image_url') {
    if (typeof value.url !== 'string') throw missing(`${at}.image_url.url`)
    counts.images++
    counts.textTokens += value.detail === 'low' ? IMAGE_TOKENS.low : IMAGE_TOKENS.other
    return ''
  }
  const data = type === 'input_audio' ? value.data : (value.file_data ?? value.file_id)
  if (typeof data !== 'string') throw missing(`${at}.${type}.${type === 'file' ? 'file_data' : 'data'}`)
  if (type === 'file') counts.textTokens += Math.ceil(data.length / BASE64_CHARS_A_FILE_TOKEN)
  else counts.audioTokens += Math.ceil(data.length / BASE64_CHARS_AN_AUDIO_TOKEN)
  return ''
}
