import type { Choice, Completion, Extra, Part, TextPart } from '../model.ts'
import { usageOf } from '../openai/chunk.ts'
import { AnswerError } from '../wire.ts'
import { readFinish } from './finish.ts'
import { argumentsOf, readUrl, thinkingText } from './messages.ts'
import { readAnnotations, readAudio, readSources } from './parts.ts'
import { makeProof, readThoughts } from './thoughts.ts'
import { isRecord, type Json, numberOr, record, records, textOr } from './values.ts'

const WIRE = 'openai-chat'
const MAPPED: ReadonlySet<string> = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'service_tier'])

/** @param callId makes ids for calls that have none. @throws AnswerError for an error or anything without choices */
export function readAnswer(answer: unknown, callId: string): Completion {
  const body = record(answer)
  const choices = records(body.choices)
  if (!Array.isArray(body.choices) || (choices.length === 0 && body.error)) {
    throw new AnswerError(`The answer has no "choices": ${JSON.stringify(answer)?.slice(0, 300)}`)
  }
  const model = textOr(body.model, '')
  const extras: Extra[] = []
  for (const [name, value] of Object.entries(body)) {
    if (!MAPPED.has(name) && value !== null) extras.push({ wire: WIRE, name, value })
  }
  return {
    id: textOr(body.id, '') || null,
    model: model || null,
    createdAtS: numberOr(body.created, null),
    choices: inOrder(choices).map((choice, at) => readChoice(choice, { body, callId: `${callId}_${at}`, model })),
    usage: usageOf(body),
    serviceTier: textOr(body.service_tier, '') || null,
    extras,
  }
}

/** By their own numbers, where they have them. */
function inOrder(choices: readonly Json[]): Json[] {
  return [...choices].sort((a, b) => numberOr(a.index, 0) - numberOr(b.index, 0))
}

function readChoice(choice: Json, from: { body: Json; callId: string; model: string }): Choice {
  const message = record(choice.message)
  const parts = readMessage(message, from)
  const calls = parts.some(({ type }) => type === 'tool-call')
  const refusal = parts.some(({ type }) => type === 'refusal')
  const logprobs = isRecord(choice.logprobs) ? choice.logprobs : null
  return { parts, finish: readFinish(choice.finish_reason, { calls, refusal }), logprobs }
}

function readMessage(message: Json, { body, callId, model }: { body: Json; callId: string; model: string }): Part[] {
  const calls = readCalls(message, callId)
  const thoughts = readThoughts(message, model)
  const ofCall = (id: string | null) => calls.some((call) => call.type === 'tool-call' && call.id === id)
  const isFirst = ({ part, callId: id }: (typeof thoughts)[number]) => part.text !== '' || !ofCall(id)
  const parts: Part[] = thoughts.filter(isFirst).map(({ part }) => part)
  parts.push(...withCitations(contentOf(message.content, model), message, body))
  if (typeof message.refusal === 'string' && message.refusal !== '') {
    parts.push({ type: 'refusal', text: message.refusal })
  }
  const { data, transcript } = record(message.audio)
  if (typeof data === 'string') parts.push(readAudio(data, transcript))
  // OpenRouter's pictures.
  for (const image of records(message.images)) {
    const url = record(image.image_url).url
    if (typeof url === 'string') parts.push({ type: 'image', source: readUrl(url), detail: null })
  }
  for (const call of calls) {
    const own = thoughts.filter(
      (thought) => !isFirst(thought) && call.type === 'tool-call' && thought.callId === call.id,
    )
    parts.push(...own.map(({ part }) => part), call)
  }
  return parts
}

/** Content as text, or in Mistral's parts. */
export function contentOf(content: unknown, model: string): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return records(content).flatMap((item): Part[] => {
    if (item.type === 'thinking') {
      const proof = makeProof({ model, in: 'reasoning_content' })
      return [{ type: 'reasoning', text: thinkingText(item.thinking), summary: false, proof }]
    }
    return typeof item.text === 'string' ? [{ type: 'text', text: item.text }] : []
  })
}

/** Onto the last text: annotations count from the beginning of the whole content, which is one text but with Mistral. */
function withCitations(parts: Part[], message: Json, body: Json): Part[] {
  const own = readAnnotations(message.annotations)
  const citations = own.length > 0 ? own : readSources(body)
  const at = parts.findLastIndex(({ type }) => type === 'text')
  if (citations.length === 0 || at < 0) return parts
  return parts.with(at, { ...(parts[at] as TextPart), citations })
}

function readCalls(message: Json, callId: string): Part[] {
  const legacy = isRecord(message.function_call) ? [{ type: 'function', function: message.function_call }] : []
  const calls = records(message.tool_calls)
  return (calls.length > 0 ? calls : legacy).flatMap((call: Json, at): Part[] => {
    const kind = call.type === 'custom' ? 'custom' : 'function'
    const { name, arguments: text, input } = record(call[kind])
    // Snowflake fills an empty call in where there is none.
    if (typeof name !== 'string' || name === '') return []
    const written = kind === 'custom' ? textOr(input, '') : argumentsOf(text)
    return [{ type: 'tool-call', id: textOr(call.id, '') || `call_${callId}_${at}`, name, arguments: written, kind }]
  })
}
