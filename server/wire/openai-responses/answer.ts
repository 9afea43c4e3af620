import type { Completion, Finish, FinishReason, Part } from '../model.ts'
import { isRecord, type Json, numberOr, record, records, textOr } from '../openai-chat/values.ts'
import { AnswerError } from '../wire.ts'
import { logprobsIn, readItem } from './items.ts'
import { readResponsesUsage } from './usage.ts'

/** A provider's whole response -> the canonical answer. */

/** @throws AnswerError when it is no response, or an error without any output */
export function readAnswer(answer: unknown, callId: string): Completion {
  const response = record(answer)
  const { output } = response
  if (!Array.isArray(output)) throw new AnswerError(`The answer has no "output": ${excerpt(answer)}`)
  if (output.length === 0 && isRecord(response.error)) throw new AnswerError(`An error: ${excerpt(response.error)}`)
  const items = records(output)
  const parts = items.flatMap((item, index) => readItem(item, `call_${callId}_${index}`))
  const logprobs = items.flatMap((item) => (item.type === 'message' ? records(item.content) : [])).flatMap(logprobsOf)
  return {
    id: textOr(response.id, null),
    model: textOr(response.model, null),
    createdAtS: numberOr(response.created_at, null),
    choices: [
      { parts, finish: readFinish(response, parts), logprobs: logprobs.length === 0 ? null : { content: logprobs } },
    ],
    usage: readResponsesUsage(response.usage),
    serviceTier: textOr(response.service_tier, null),
    extras: [],
  }
}

function logprobsOf(part: Json): readonly unknown[] {
  return logprobsIn(part.logprobs)
}

/** @param parts all that was answered */
export function readFinish(response: Json, parts: readonly Part[]): Finish {
  return { reason: reasonOf(response, parts), stopSequence: null }
}

function reasonOf(response: Json, parts: readonly Part[]): FinishReason {
  if (response.status === 'incomplete') {
    return record(response.incomplete_details).reason === 'content_filter' ? 'filter' : 'length'
  }
  if (parts.some((part) => part.type === 'tool-call')) return 'tool-calls'
  return parts.some((part) => part.type === 'refusal') ? 'refusal' : 'stop'
}

export function excerpt(value: unknown): string {
  return (JSON.stringify(value) ?? '').slice(0, 300)
}
