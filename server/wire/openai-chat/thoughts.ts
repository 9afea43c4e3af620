import type { Proof, ReasoningPart } from '../model.ts'
import { openProof, sealProof } from '../proof.ts'
import { isRecord, type Json, records, said, textOr } from './values.ts'

/**
 * Thoughts on OpenAI's chat wire, which has no word of its own for them. The text goes as `reasoning_content`, which
 * most clients show; text and proof together as `reasoning_details`, OpenRouter's list, which its clients keep and send
 * back. A thought without text that belongs to a tool's call bears the call's id. What is `format` there is a hint only.
 */
const WIRE = 'openai-chat'

const FORMATS: Readonly<Record<string, string>> = {
  'anthropic-messages': 'anthropic-claude-v1',
  gemini: 'google-gemini-v1',
  'openai-responses': 'openai-responses-v1',
}

/**
 * What a provider of this wire wants to have back with a thought, as the data of a proof: the member that it came in,
 * its details, and the model: another one may refuse them.
 */
export interface ChatProof {
  readonly model: string
  readonly in: 'reasoning_content' | 'reasoning' | 'reasoning_details'
  /** Members of the detail beside its text. */
  readonly detail?: Json
}

export function makeProof(value: ChatProof): Proof {
  return { wire: WIRE, data: JSON.stringify(value) }
}

/** Null for what is not ours. */
export function readProof({ proof }: ReasoningPart): ChatProof | null {
  if (proof === null || proof.wire !== WIRE) return null
  try {
    const value: unknown = JSON.parse(proof.data)
    return isRecord(value) && typeof value.in === 'string' ? (value as unknown as ChatProof) : null
  } catch {
    return null
  }
}

/** A thought of a message, and the call that it must stand before. */
export interface Thought {
  readonly part: ReasoningPart
  readonly callId: string | null
}

/** @param model that made the message, empty when nobody knows */
export function readThoughts(message: Json, model: string): Thought[] {
  const details = records(message.reasoning_details)
  if (details.length > 0) return readDetails(details, model)
  for (const name of ['reasoning_content', 'reasoning'] as const) {
    const text = message[name]
    if (typeof text !== 'string' || text === '') continue
    return [{ part: { type: 'reasoning', text, summary: false, proof: makeProof({ model, in: name }) }, callId: null }]
  }
  return []
}

function readDetails(details: readonly Json[], model: string): Thought[] {
  const thoughts: Thought[] = []
  let before: Json | undefined
  for (const detail of joined(details)) {
    const last = thoughts.at(-1)
    const isProofOfLast = detail.type === 'reasoning.encrypted' && isSealed(detail.data) && isSummaryOf(before, detail)
    if (isProofOfLast && last !== undefined) {
      thoughts[thoughts.length - 1] = { ...last, part: { ...last.part, proof: proofOf(detail, model) } }
    } else thoughts.push({ part: readDetail(detail, model), callId: textOr(detail.id, null) })
    before = detail
  }
  return thoughts
}

/** Pieces of one detail, as a client keeps them that only collects a stream's, as one. */
function joined(details: readonly Json[]): Json[] {
  const whole: Json[] = []
  for (const detail of details) {
    const last = whole.at(-1)
    const name = detail.type === 'reasoning.summary' ? 'summary' : 'text'
    const goesOn = last?.type === detail.type && last?.index === detail.index && !last?.signature && name in detail
    if (!goesOn || typeof detail.index !== 'number') whole.push(detail)
    else whole[whole.length - 1] = { ...last, ...detail, [name]: textOr(last?.[name], '') + textOr(detail[name], '') }
  }
  return whole
}

/** One thought in a message's or delta's `reasoning_details`. */
export function readDetail(detail: Json, model: string): ReasoningPart {
  const summary = detail.type === 'reasoning.summary'
  const text = textOr(summary ? detail.summary : detail.text, '')
  return { type: 'reasoning', text, summary, proof: proofOf(detail, model) }
}

function proofOf(detail: Json, model: string): Proof | null {
  const sealed = textOr(detail.signature ?? detail.data, '')
  if (isSealed(sealed)) return openProof(sealed, WIRE)
  const { text: _, summary: __, ...rest } = detail
  // As it is written here for a thought without proof: nothing to give back.
  if (Object.keys(said(rest)).every((name) => name === 'type' || name === 'index' || name === 'id')) return null
  return makeProof({ model, in: 'reasoning_details', detail: rest })
}

function isSealed(text: unknown): boolean {
  return typeof text === 'string' && text.startsWith('watchllm.')
}

function isSummaryOf(before: Json | undefined, detail: Json): boolean {
  return before?.type === 'reasoning.summary' && typeof detail.id === 'string' && before.id === detail.id
}

/**
 * A thought as a client gets it in `reasoning_details`, whole or the end of a streamed one.
 * @param place its number, and the call that follows it at once, if any
 */
export function writeDetails(part: ReasoningPart, place: { index: number; callId: string | null }): Json[] {
  const { text, summary, proof } = part
  const { index } = place
  const own = readProof(part)
  if (own?.detail !== undefined) return [{ ...own.detail, ...textMember(part) }]
  if (proof === null || own !== null) return [{ type: typeOf(summary), ...textMember(part), index }]
  const sealed = sealProof(proof, WIRE)
  const format = FORMATS[proof.wire] ?? 'unknown'
  if (text !== '' && !summary) return [{ type: 'reasoning.text', text, signature: sealed, format, index }]
  const encrypted = { type: 'reasoning.encrypted', data: sealed, format, index }
  if (text === '') return [{ ...encrypted, ...(place.callId === null ? {} : { id: place.callId }) }]
  const id = `rs_${index}`
  return [
    { type: 'reasoning.summary', summary: text, id, format, index },
    { ...encrypted, id },
  ]
}

/** A streamed piece of a thought, as a JSON text of one detail. @param text as a JSON string */
export function detailDelta(text: string, { summary, index }: { summary: boolean; index: number }): string {
  if (summary) return `{"type":"reasoning.summary","summary":${text},"id":"rs_${index}","index":${index}}`
  return `{"type":"reasoning.text","text":${text},"index":${index}}`
}

function typeOf(summary: boolean): string {
  return summary ? 'reasoning.summary' : 'reasoning.text'
}

function textMember({ text, summary }: ReasoningPart): Json {
  return text === '' ? {} : summary ? { summary: text } : { text }
}
