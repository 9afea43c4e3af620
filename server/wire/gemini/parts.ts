import { TEXT_TOOL, textArgument } from '../emulation.ts'
import type { FinishReason, Part, Proof, ReasoningPart, ToolCall } from '../model.ts'
import { type Json, number, record, records, text } from './json.ts'

/** What stands in an answer, part by part, in canonical words. */

/** Ids for calls of tools that have none of Gemini's own. */
export class CallIds {
  readonly #callId: string
  #made = 0

  constructor(callId: string) {
    this.#callId = callId
  }

  of(call: Json): string {
    return text(call.id) ?? `${this.#callId}_${++this.#made}`
  }
}

/**
 * One part of an answer, with the thought before it whose proof it carries; nothing for a part that says nothing. What
 * no other wire can say comes back as it is.
 */
export function readPart(part: Json, ids: CallIds): Part[] {
  const proof = proofOf(part)
  if (part.thought === true && typeof part.text === 'string') return [thought(part.text, proof)]
  const read = readBody(part, ids)
  if (read?.type === 'opaque' || proof === null) return read === null ? [] : [read]
  return read === null ? [proven(proof)] : [proven(proof), read]
}

function readBody(part: Json, ids: CallIds): Part | null {
  if (typeof part.text === 'string') return part.text === '' ? null : { type: 'text', text: part.text }
  if (part.functionCall !== undefined) return readCall(record(part.functionCall), ids)
  const data = text(record(part.inlineData).data)
  if (data !== null && part.thought !== true) return readMedia(String(record(part.inlineData).mimeType), data)
  return Object.keys(part).some((name) => name !== 'thoughtSignature')
    ? { type: 'opaque', wire: 'gemini', value: part }
    : null
}

export function readCall(call: Json, ids: CallIds): ToolCall {
  const args = call.args === undefined || call.args === null ? '{}' : JSON.stringify(call.args)
  return calledAs({
    type: 'tool-call',
    id: ids.of(call),
    name: String(call.name ?? ''),
    arguments: args,
    kind: 'function',
  })
}

/** The call as its caller knows it: a tool of plain text was put to Gemini as a function. */
export function calledAs(call: ToolCall): ToolCall {
  if (!call.name.startsWith(TEXT_TOOL)) return call
  const { name, arguments: written } = call
  return { ...call, kind: 'custom', name: name.slice(TEXT_TOOL.length), arguments: textArgument(written) }
}

export function readMedia(mediaType: string, data: string): Part {
  const source = { kind: 'base64', mediaType, data } as const
  if (mediaType.startsWith('image/')) return { type: 'image', source, detail: null }
  if (!mediaType.startsWith('audio/')) return { type: 'file', source, filename: null }
  const format = mediaType.slice('audio/'.length).split(';')[0]!.toLowerCase()
  return { type: 'audio', data, format: format === 'pcm' || format === 'l16' ? 'pcm16' : format }
}

/** The signature that a part carries. */
export function proofOf(part: Json): Proof | null {
  const data = text(part.thoughtSignature) ?? text(part.thought_signature)
  return data === null ? null : { wire: 'gemini', data }
}

/** What Gemini shows of its thoughts is always a summary. */
export function thought(text: string, proof: Proof | null): ReasoningPart {
  return { type: 'reasoning', text, summary: true, proof }
}

/** The proof of the part that follows. */
export function proven(proof: Proof): ReasoningPart {
  return { type: 'reasoning', text: '', summary: false, proof }
}

/**
 * Why an answer ended. Gemini says STOP before calls of tools too. An answer that it gave up, such as one with a call
 * that can't be read, is withheld: nothing else tells a caller that it isn't whole.
 */
export function finishOf(reason: string, hasCalls: boolean): FinishReason {
  switch (reason) {
    case 'STOP':
      return hasCalls ? 'tool-calls' : 'stop'
    case 'MAX_TOKENS':
      return 'length'
    case 'CONTINUATION':
      return 'pause'
    default:
      return 'filter'
  }
}

/** Gemini's log probabilities as OpenAI's chat says them; null when there are none. */
export function readLogprobs(value: unknown): { content: object[] } | null {
  const { chosenCandidates, topCandidates } = record(value)
  const chosen = records(chosenCandidates)
  if (chosen.length === 0) return null
  const top = records(topCandidates)
  return {
    content: chosen.map((token, at) => ({
      ...logprobOf(token),
      top_logprobs: records(top[at]?.candidates).map(logprobOf),
    })),
  }
}

function logprobOf({ token, logProbability }: Json): object {
  const written = String(token ?? '')
  return { token: written, logprob: number(logProbability) ?? 0, bytes: Array.from(new TextEncoder().encode(written)) }
}

/** Unix seconds of a time such as `2026-02-15T07:50:39.884152Z`. */
export function secondsOf(time: unknown): number | null {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN
  return Number.isFinite(ms) ? Math.floor(ms / 1000) : null
}

/** The tier that served the call, in OpenAI's words. */
export function tierOf(usageMetadata: unknown): string | null {
  const { serviceTier, trafficType } = record(usageMetadata)
  if (typeof serviceTier === 'string') return serviceTier === 'standard' ? 'default' : serviceTier
  if (trafficType === 'ON_DEMAND_FLEX') return 'flex'
  return trafficType === 'ON_DEMAND_PRIORITY' ? 'priority' : null
}
