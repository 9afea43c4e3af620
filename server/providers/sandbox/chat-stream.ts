import type { Choice, Head, Shape } from './chat-shape.ts'
import { chatLogprobs } from './logprobs.ts'
import { splitTokens } from './tokens.ts'
import type { ToolCall } from './tools.ts'

interface Delta {
  readonly index: number
  readonly delta: object
  readonly tokens?: readonly string[]
  readonly finish?: string
}

/**
 * The chunks of a streamed chat answer, made when they are asked for: for each choice the role, then a token at a time,
 * then the finish reason; at last the usage with `choices: []` if it was asked for.
 */
export function* chatEvents(head: Head, choices: readonly Choice[], usage: object, shape: Shape): Generator<object> {
  const rest = { ...head, object: 'chat.completion.chunk' }
  const noUsage = shape.wantsUsage ? { usage: null } : {}
  for (const { index, delta, tokens, finish } of interleave(choices.map(deltasOf))) {
    const logprobs = tokens === undefined || shape.topLogprobs === null ? null : chatLogprobs(tokens, shape.topLogprobs)
    yield { ...rest, choices: [{ index, delta, logprobs, finish_reason: finish ?? null }], ...noUsage }
  }
  if (shape.wantsUsage) yield { ...rest, choices: [], usage }
}

/** One step of each in turn, as several choices grow side by side. */
function* interleave(streams: Iterator<Delta>[]): Generator<Delta> {
  let open = streams
  while (open.length > 0) {
    const still: Iterator<Delta>[] = []
    for (const stream of open) {
      const { done, value } = stream.next()
      if (done === true) continue
      yield value
      still.push(stream)
    }
    open = still
  }
}

function* deltasOf(choice: Choice, index: number): Generator<Delta> {
  const { tokens, calls, legacyCall, finish } = choice
  if (calls.length === 0) yield { index, delta: { role: 'assistant', content: '', refusal: null } }
  for (const token of tokens) yield { index, delta: { content: token }, tokens: [token] }
  if (legacyCall && calls.length > 0) yield* legacyDeltas(calls[0]!, index)
  else for (const [at, call] of calls.entries()) yield* callDeltas(call, at, index)
  yield { index, delta: {}, finish }
}

/** The first delta of a call names it and the very first carries the role; arguments follow piece by piece. */
function* callDeltas(call: ToolCall, at: number, index: number): Generator<Delta> {
  const { id, kind, name } = call
  const body = (piece: string) =>
    kind === 'custom' ? { custom: { input: piece } } : { function: { arguments: piece } }
  const first =
    kind === 'custom'
      ? { index: at, id, type: kind, custom: { name, input: '' } }
      : { index: at, id, type: kind, function: { name, arguments: '' } }
  const role = at === 0 ? { role: 'assistant', content: null, refusal: null } : {}
  yield { index, delta: { ...role, tool_calls: [first] } }
  for (const piece of splitTokens(call.input)) yield { index, delta: { tool_calls: [{ index: at, ...body(piece) }] } }
}

function* legacyDeltas(call: ToolCall, index: number): Generator<Delta> {
  yield {
    index,
    delta: { role: 'assistant', content: null, function_call: { name: call.name, arguments: '' }, refusal: null },
  }
  for (const piece of splitTokens(call.input)) yield { index, delta: { function_call: { arguments: piece } } }
}
