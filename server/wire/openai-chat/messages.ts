import type { Message, Part, Source, TextPart, ToolCall, ToolResult } from '../model.ts'
import { WireError } from '../wire.ts'
import { readThoughts } from './thoughts.ts'
import { readCache } from './tools.ts'
import { isRecord, type Json, record, records, textOr } from './values.ts'

const WIRE = 'openai-chat'

/** Messages of a request: results of tools that follow each other become one message. @throws WireError */
export function readMessages(value: unknown): Message[] {
  if (!Array.isArray(value)) throw new WireError('"messages" must be a list', 'messages')
  const messages: Message[] = []
  let results: Part[] | null = null
  for (const [at, item] of value.entries()) {
    const param = `messages[${at}]`
    if (!isRecord(item)) throw new WireError(`"${param}" must be an object`, param)
    if (item.role === 'tool' || item.role === 'function') {
      if (results === null) {
        results = []
        messages.push({ role: 'user', name: null, parts: results })
      }
      results.push(readResult(item, param))
      continue
    }
    results = null
    messages.push(readMessage(item, param))
  }
  return messages
}

function readMessage(item: Json, param: string): Message {
  const { role } = item
  const name = textOr(item.name, null)
  if (role === 'system' || role === 'developer' || role === 'user') {
    return { role, name, parts: readContent(item.content, `${param}.content`) }
  }
  if (role === 'assistant') return { role, name, parts: readAssistant(item, param) }
  throw new WireError(
    `"${param}.role" must be one of system, developer, user, assistant, tool, function`,
    `${param}.role`,
  )
}

/** The id that a call of before there were tools is given, so that its result finds it. */
function legacyId(name: string): string {
  return `call_${name.slice(0, 32)}`
}

function readResult(item: Json, param: string): ToolResult {
  const parts = readContent(item.content, `${param}.content`)
  const result = { type: 'tool-result', parts, isError: false } as const
  if (item.role === 'function') return { ...result, callId: legacyId(textOr(item.name, '')) }
  if (typeof item.tool_call_id === 'string') return { ...result, callId: item.tool_call_id }
  throw new WireError(`"${param}.tool_call_id" must be a string`, `${param}.tool_call_id`)
}

function readAssistant(item: Json, param: string): Part[] {
  const calls = readCalls(item, param)
  const parts: Part[] = []
  const beforeCall = new Map<string, Part[]>()
  for (const { part, callId } of readThoughts(item, '')) {
    const isOfCall = callId !== null && part.text === '' && calls.some(({ id }) => id === callId)
    if (!isOfCall) parts.push(part)
    else beforeCall.set(callId, [...(beforeCall.get(callId) ?? []), part])
  }
  parts.push(...readContent(item.content, `${param}.content`))
  if (typeof item.refusal === 'string' && item.refusal !== '') parts.push({ type: 'refusal', text: item.refusal })
  if (isRecord(item.audio)) parts.push({ type: 'opaque', wire: WIRE, value: { type: 'audio', audio: item.audio } })
  for (const call of calls) parts.push(...(beforeCall.get(call.id) ?? []), call)
  return parts
}

function readCalls(item: Json, param: string): ToolCall[] {
  const calls = records(item.tool_calls).map((call, at) => readCall(call, `${param}.tool_calls[${at}]`))
  if (!isRecord(item.function_call)) return calls
  const { name, arguments: text } = item.function_call
  const legacy = { id: legacyId(textOr(name, '')), type: 'function', function: { name, arguments: text } }
  return [...calls, readCall(legacy, `${param}.function_call`)]
}

function readCall(call: Json, param: string): ToolCall {
  const kind = call.type === 'custom' ? 'custom' : 'function'
  const { name, arguments: text, input } = record(call[kind])
  if (typeof call.id !== 'string') throw new WireError(`"${param}.id" must be a string`, `${param}.id`)
  if (typeof name !== 'string') throw new WireError(`"${param}.${kind}.name" must be a string`, `${param}.${kind}.name`)
  const written = kind === 'custom' ? textOr(input, '') : argumentsOf(text)
  return { type: 'tool-call', id: call.id, name, arguments: written, kind }
}

/** Arguments as JSON text; `{}` for none. Some send the object itself. */
export function argumentsOf(value: unknown): string {
  if (typeof value === 'string') return value === '' ? '{}' : value
  return isRecord(value) ? JSON.stringify(value) : '{}'
}

/** Content as parts; none when it is null or an empty string. @throws WireError */
export function readContent(value: unknown, param: string): Part[] {
  if (value === null || value === undefined || value === '') return []
  if (typeof value === 'string') return [{ type: 'text', text: value }]
  if (!Array.isArray(value)) throw new WireError(`"${param}" must be a string or a list of parts`, param)
  return value.map((item, at) => {
    if (isRecord(item)) return readPart(item, `${param}[${at}]`)
    if (typeof item === 'string') return { type: 'text', text: item }
    throw new WireError(`"${param}[${at}]" must be an object`, `${param}[${at}]`)
  })
}

function readPart(item: Json, param: string): Part {
  const mark = readCache(item)
  const cache = mark === null ? {} : { cache: mark }
  switch (item.type) {
    case 'text':
      return { type: 'text', text: need(item.text, `${param}.text`), ...cache } satisfies TextPart
    case 'refusal':
      return { type: 'refusal', text: need(item.refusal, `${param}.refusal`) }
    case 'image_url': {
      const image = typeof item.image_url === 'string' ? { url: item.image_url } : record(item.image_url)
      const source = readUrl(need(image.url, `${param}.image_url.url`))
      return { type: 'image', source, detail: textOr(image.detail, null), ...cache }
    }
    case 'input_audio': {
      const { data, format } = record(item.input_audio)
      const at = `${param}.input_audio`
      return { type: 'audio', data: need(data, `${at}.data`), format: need(format, `${at}.format`) }
    }
    case 'file': {
      const { file_data, file_id, filename } = record(item.file)
      const source: Source =
        typeof file_id === 'string'
          ? { kind: 'id', wire: WIRE, id: file_id }
          : readUrl(need(file_data, `${param}.file.file_data`))
      return { type: 'file', source, filename: textOr(filename, null), ...cache }
    }
    // Mistral's thoughts.
    case 'thinking':
      return { type: 'reasoning', text: thinkingText(item.thinking), summary: false, proof: null }
    default:
      return { type: 'opaque', wire: WIRE, value: item }
  }
}

/** Mistral's list of texts as one. */
export function thinkingText(value: unknown): string {
  if (typeof value === 'string') return value
  return records(value)
    .map((part) => textOr(part.text, ''))
    .join('')
}

function need(value: unknown, param: string): string {
  if (typeof value === 'string') return value
  throw new WireError(`"${param}" must be a string`, param)
}

/** A data URL as its bytes; bare base64 is a PDF, as OpenAI takes it. */
export function readUrl(url: string): Source {
  const comma = url.startsWith('data:') ? url.indexOf(',') : -1
  if (comma > 0) {
    const mediaType = url.slice(5, comma).replace(/;base64$/i, '')
    return { kind: 'base64', mediaType: mediaType === '' ? 'text/plain' : mediaType, data: url.slice(comma + 1) }
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(url)) return { kind: 'url', url }
  return { kind: 'base64', mediaType: 'application/pdf', data: url }
}
