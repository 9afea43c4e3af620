import type { AnswerContext } from '../dialect.ts'
import type { Choice, Completion, Part } from '../model.ts'
import { additionsOf, markedUsage } from '../openai/additions.ts'
import { writeOpenaiUsage } from '../openai/usage.ts'
import type { Ask } from '../wire.ts'
import { chatTier, writeFinish } from './finish.ts'
import { writeAnnotations, writeAudio } from './parts.ts'
import { readProof, writeDetails } from './thoughts.ts'
import { type Json, said } from './values.ts'

const WIRE = 'openai-chat'

/** A whole answer as OpenAI's chat gives it, with the additions of CONTRACT 4. */
export function writeAnswer(answer: Completion, context: AnswerContext): string {
  const { callId, additions, createdAtS } = context
  const tier = chatTier(answer.serviceTier)
  const extras = answer.extras.filter(({ wire }) => wire === WIRE).map(({ name, value }) => [name, value])
  return JSON.stringify({
    id: answer.id ?? answerId(callId),
    object: 'chat.completion',
    created: answer.createdAtS ?? createdAtS,
    model: answer.model ?? context.model,
    choices: answer.choices.map((choice, index) => writeChoice(choice, { ...context, index })),
    ...(answer.usage === null ? {} : { usage: markedUsage(writeOpenaiUsage(answer.usage), context) }),
    ...(tier === null ? {} : { service_tier: tier }),
    ...Object.fromEntries(extras),
    ...(additions === null ? {} : additionsOf(additions)),
  })
}

export function answerId(callId: string): string {
  return `chatcmpl-${callId.replace(/^req_/, '')}`
}

/** Clients of before there were tools read `function_call`. */
export function isLegacy({ members }: Ask): boolean {
  return members.has('functions') && !members.has('tools')
}

function writeChoice({ parts, finish, logprobs }: Choice, context: AnswerContext & { readonly index: number }): Json {
  const { index } = context
  const message = writeMessage(parts, context)
  const reason = writeFinish(finish, message.refusal !== null)
  const finish_reason = reason === 'tool_calls' && message.function_call !== undefined ? 'function_call' : reason
  return { index, message, logprobs: writeLogprobs(logprobs), finish_reason }
}

function writeLogprobs(logprobs: unknown): unknown {
  if (logprobs === null || typeof logprobs !== 'object') return null
  return { content: null, refusal: null, ...logprobs }
}

function writeMessage(parts: readonly Part[], context: AnswerContext & { readonly index: number }): Json {
  let text: string | null = null
  let refusal: string | null = null
  const annotations: Json[] = []
  const calls: Json[] = []
  const images: Json[] = []
  let audio: Json | null = null
  for (const part of parts) {
    if (part.type === 'text') {
      annotations.push(...writeAnnotations(part.citations ?? [], text?.length ?? 0))
      text = (text ?? '') + part.text
    } else if (part.type === 'refusal') refusal = (refusal ?? '') + part.text
    else if (part.type === 'tool-call') calls.push(writeCall(part))
    else if (part.type === 'image' && part.source.kind !== 'id') {
      const { source } = part
      const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
      images.push({ type: 'image_url', image_url: { url } })
    } else if (part.type === 'audio') {
      const id = `audio_${context.callId}_${context.index}`
      audio = writeAudio(part, { id, createdAtS: context.createdAtS })
    }
  }
  const legacy = calls.length > 0 && isLegacy(context.ask) ? calls[0]!.function : undefined
  return {
    role: 'assistant',
    content: text,
    refusal,
    ...writeThoughts(parts),
    ...(annotations.length === 0 ? {} : { annotations }),
    ...said({ audio, images: images.length === 0 ? null : images }),
    ...(legacy !== undefined ? { function_call: legacy } : calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function writeCall({ id, name, arguments: text, kind }: Part & { type: 'tool-call' }): Json {
  if (kind === 'custom') return { id, type: kind, custom: { name, input: text } }
  return { id, type: kind, function: { name, arguments: text } }
}

/** `reasoning_details` only where something must come back: text alone stands in `reasoning_content`. */
function writeThoughts(parts: readonly Part[]): Json {
  let text = ''
  let mustReturn = false
  const details: Json[] = []
  for (const [at, part] of parts.entries()) {
    if (part.type !== 'reasoning') continue
    text += text === '' || part.text === '' ? part.text : `\n\n${part.text}`
    const own = readProof(part)
    mustReturn ||= part.proof !== null && (own === null || own.detail !== undefined)
    const next = parts[at + 1]
    const callId = next?.type === 'tool-call' ? next.id : null
    details.push(...writeDetails(part, { index: details.length, callId }))
  }
  return {
    ...(text === '' ? {} : { reasoning_content: text }),
    ...(mustReturn ? { reasoning_details: details } : {}),
  }
}
