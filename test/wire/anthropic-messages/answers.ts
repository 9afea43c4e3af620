import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'
import { anthropicMessagesDialect as dialect } from '../../../server/wire/anthropic-messages/dialect.ts'
import { anthropicMessages } from '../../../server/wire/anthropic-messages/wire.ts'
import type { Completion, FinishReason, Part, StreamEvent } from '../../../server/wire/model.ts'
import type { Additions } from '../../../server/wire/wire.ts'
import type { Random } from '../../helpers/random.ts'
import { jsonBytes } from '../../helpers/wire.ts'

/** Answers as another wire's dialect would read them, and what a caller of Messages gets for them. */

const ASK = anthropicMessages.readAsk(
  jsonBytes({ model: 'm', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'Hi' }] }),
)
const CONTEXT = { ask: ASK, callId: 'req_01abc', createdAtS: 1, model: 'gpt-x' }
export const USAGE: Usage = { ...NO_USAGE, input: 20, cacheRead: 5, output: 9, reasoning: 4 }

export function completion(parts: readonly Part[], reason: FinishReason = 'stop'): Completion {
  const choices = [{ parts, finish: { reason, stopSequence: null }, logprobs: null }]
  return { id: 'chatcmpl-1', model: 'gpt-x', createdAtS: 1, choices, usage: USAGE, serviceTier: null, extras: [] }
}

export type Message = Record<string, unknown> & { content: Record<string, unknown>[] }

export function written(answer: Completion): Message {
  return JSON.parse(dialect.writeAnswer(answer, { ...CONTEXT, additions: null }))
}

/** The frames of a stream. */
export function framesOf(events: readonly StreamEvent[], additions: Additions | null = null): string {
  const writer = dialect.writeStream(CONTEXT)
  return events.map((event) => writer.write(event)).join('') + writer.finish(additions)
}

/** The same answer as a stream, its words cut at random. */
export function streamed({ choices, usage }: Completion, random: Random): StreamEvent[] {
  const events: StreamEvent[] = [{ type: 'start', id: 'chatcmpl-1', model: 'gpt-x', createdAtS: 1 }]
  const { parts, finish } = choices[0]!
  for (const [index, part] of parts.entries()) {
    const at = { choice: 0, index }
    if (random.once(4)) events.push({ type: 'part', ...at, part })
    else
      events.push(
        { type: 'part', ...at, part: opened(part) },
        ...deltas(part, random).map((delta) => ({ type: 'delta', ...at, delta }) as const),
      )
    events.push({ type: 'part-end', ...at })
  }
  return [...events, { type: 'finish', choice: 0, finish }, { type: 'usage', usage: usage! }]
}

function opened(part: Part): Part {
  if (part.type === 'text') return { type: 'text', text: '' }
  if (part.type === 'reasoning') return { ...part, text: '', proof: null }
  if (part.type === 'tool-call') return { ...part, arguments: '' }
  if (part.type === 'refusal') return { ...part, text: '' }
  return part
}

function deltas(part: Part, random: Random): { text?: string; proof?: { wire: 'gemini'; data: string } }[] {
  const words = part.type === 'tool-call' ? part.arguments : 'text' in part ? part.text : ''
  const found: ReturnType<typeof deltas> = []
  for (let from = 0; from < words.length; ) {
    const to = Math.min(words.length, from + 1 + random.int(5))
    found.push({ text: words.slice(from, to) })
    from = to
  }
  if (part.type === 'reasoning' && part.proof !== null)
    found.push({ proof: part.proof as { wire: 'gemini'; data: string } })
  return found
}
