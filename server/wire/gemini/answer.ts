import type { Choice, Citation, Completion, Extra, Part } from '../model.ts'
import { AnswerError } from '../wire.ts'
import { failureOf } from './chunk.ts'
import { type Claim, claimsOf, Places } from './citations.ts'
import { isFilled, type Json, number, record, records, text } from './json.ts'
import { CallIds, finishOf, readLogprobs, readPart, secondsOf, tierOf } from './parts.ts'
import { readGeminiUsage } from './usage.ts'

const READ: ReadonlySet<string> = new Set(['candidates', 'usageMetadata', 'modelVersion', 'responseId', 'createTime'])

/**
 * A whole answer of `generateContent`. A prompt that was blocked is an answer, withheld.
 * @param callId makes ids for calls of tools that have none
 * @throws AnswerError for an error, and for what has neither candidates nor the reason for none
 */
export function readGeminiAnswer(answer: unknown, callId: string): Completion {
  const body = record(answer)
  const failure = failureOf(body)
  if (failure !== null) throw new AnswerError(`The answer is an error: ${failure}`)
  const candidates = records(body.candidates)
  if (candidates.length === 0 && !isFilled(body.promptFeedback)) throw new AnswerError('The answer has no "candidates"')
  const ids = new CallIds(callId)
  return {
    id: text(body.responseId),
    model: text(body.modelVersion),
    createdAtS: secondsOf(body.createTime),
    choices: candidates.length === 0 ? [WITHHELD] : inOrder(candidates).map((candidate) => readChoice(candidate, ids)),
    usage: readGeminiUsage(body.usageMetadata),
    serviceTier: tierOf(body.usageMetadata),
    extras: extrasOf(body),
  }
}

const WITHHELD: Choice = { parts: [], finish: { reason: 'filter', stopSequence: null }, logprobs: null }

function inOrder(candidates: readonly Json[]): readonly Json[] {
  return candidates.toSorted((a, b) => (number(a.index) ?? 0) - (number(b.index) ?? 0))
}

function readChoice(candidate: Json, ids: CallIds): Choice {
  const parts = records(record(candidate.content).parts).flatMap((part) => readPart(part, ids))
  const hasCalls = parts.some((part) => part.type === 'tool-call')
  const reason = finishOf(text(candidate.finishReason) ?? 'STOP', hasCalls)
  return {
    parts: cited(parts, claimsOf(candidate)),
    finish: { reason, stopSequence: null },
    logprobs: readLogprobs(candidate.logprobsResult),
  }
}

/** Each claim in the text that holds it, in the first one when none does. */
function cited(parts: readonly Part[], claims: readonly Claim[]): readonly Part[] {
  if (claims.length === 0) return parts
  const texts = parts.flatMap((part, index) =>
    part.type === 'text' ? [{ index, places: new Places(part.text), citations: [] as Citation[] }] : [],
  )
  for (const claim of claims) {
    const found = texts.find(({ places }) => places.holds(claim)) ?? texts[0]
    found?.citations.push(found.places.cite(claim))
  }
  const citations = new Map(texts.map((text) => [text.index, text.citations]))
  return parts.map((part, index) => {
    const own = citations.get(index) ?? []
    return part.type === 'text' && own.length > 0 ? { ...part, citations: own } : part
  })
}

function extrasOf(body: Json): Extra[] {
  const names = Object.keys(body).filter((name) => !READ.has(name))
  return names.map((name) => ({ wire: 'gemini', name, value: body[name] }))
}
