import type { Usage } from '../../../db/model/usage.ts'
import { fromLatin1, latin1 } from '../bytes.ts'
import { readMember, skipSpace } from '../json.ts'
import { editRequest, openaiAnswer, readHead, readOpenaiAnswer, requireKind } from '../openai/shared.ts'
import { type StreamShape, tapOpenai } from '../openai/stream.ts'
import { estimated, estimateTokens } from '../openai/usage.ts'
import { type Answer, type Ask, type Span, WireError } from '../wire.ts'
import { heedFacts } from './facts.ts'
import { type Mend, type MendingWire, mendAnswer } from './mend.ts'
import { ChunkMender } from './mend-stream.ts'

/** OpenAI's chat completions: `POST /v1/chat/completions`, JSON and stream. */
export const openaiChat: MendingWire = {
  id: 'openai-chat',
  face: 'openai',

  readAsk(body) {
    const ask = readHead(body)
    requireKind(ask, 'messages', ['array'])
    const messages = ask.members.get('messages')!
    if (isEmptyArray(ask, messages)) throw new WireError('"messages" must not be empty', 'messages')
    return ask
  },

  edit(ask, edits) {
    const edited = editRequest(ask, edits)
    return edits.facts ? heedFacts(ask, edited, edits.facts) : edited
  },

  readAnswer: read,

  tap: (ask) => tapOpenai(ask, shape),

  mended: (mend) => ({
    ...openaiChat,
    readAnswer: (bytes, ask) => readMended(bytes, ask, mend),
    tap: (ask) => tapOpenai(ask, shape, new ChunkMender(mend)),
  }),
}

function read(bytes: Uint8Array, ask: Ask): Answer {
  return readOpenaiAnswer(bytes, 'choices', guess(bytes, ask))
}

function readMended(bytes: Uint8Array, ask: Ask, mend: Mend): Answer {
  const said = latin1(bytes)
  const { text, value } = mendAnswer(said, mend)
  if (value === null || text === said) return read(bytes, ask)
  return openaiAnswer({ bytes: fromLatin1(text), text, value }, 'choices', guess(bytes, ask))
}

function guess(bytes: Uint8Array, ask: Ask): () => Usage {
  return () => estimated(promptTokens(ask), answerTokens(bytes))
}

const shape: StreamShape = { textKey: '"content":"', texts, promptTokens }

/**
 * Everything a model wrote in one chunk or message: content, as text or in Mistral's parts, refusal, reasoning under
 * one of its two names, what was spoken, names and arguments of tools.
 */
function texts(chunk: Readonly<Record<string, unknown>>): string[] {
  const found: unknown[] = []
  for (const choice of list(chunk.choices)) {
    const said = record(choice.delta ?? choice.message)
    found.push(...partsOf(said.content), said.refusal, said.reasoning_content ?? said.reasoning)
    found.push(record(said.audio).transcript)
    for (const call of [...list(said.tool_calls).map((call) => record(call.function)), record(said.function_call)]) {
      found.push(call.name, call.arguments)
    }
  }
  return found.filter((text) => typeof text === 'string')
}

function partsOf(content: unknown): unknown[] {
  return Array.isArray(content) ? list(content).flatMap((part) => [part.text, ...partsOf(part.thinking)]) : [content]
}

function isEmptyArray({ body }: Ask, span: Span): boolean {
  return skipSpace(body, span.start + 1) === span.end - 1
}

function promptTokens(ask: Ask): number {
  const read = (name: string) => readMember(ask.body, ask.members, name)
  return estimateTokens([read('messages'), read('tools'), read('response_format')])
}

function answerTokens(bytes: Uint8Array): number {
  return estimateTokens(texts(record(JSON.parse(new TextDecoder().decode(bytes)))))
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(record) : []
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
