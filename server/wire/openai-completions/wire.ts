import { readMember } from '../json.ts'
import { editRequest, readHead, readOpenaiAnswer, requireKind } from '../openai/shared.ts'
import { type StreamShape, tapOpenai } from '../openai/stream.ts'
import { estimated, estimateTokens } from '../openai/usage.ts'
import { heedFacts } from '../openai-chat/facts.ts'
import type { Ask, Wire } from '../wire.ts'

/** OpenAI's legacy text completions: `POST /v1/completions`, JSON and stream. */
export const openaiCompletions: Wire = {
  id: 'openai-completions',
  face: 'openai',

  readAsk(body) {
    const ask = readHead(body)
    requireKind(ask, 'prompt', ['string', 'array'])
    return ask
  },

  edit(ask, edits) {
    const edited = editRequest(ask, edits)
    // This API knows the old name alone.
    const facts = edits.facts && {
      ...edits.facts,
      refuses: edits.facts.refuses.filter((name) => name !== 'max_tokens'),
    }
    return facts ? heedFacts(ask, edited, facts) : edited
  },

  readAnswer(bytes, ask) {
    return readOpenaiAnswer(bytes, 'choices', () => estimated(promptTokens(ask), answerTokens(bytes)))
  },

  tap: (ask) => tapOpenai(ask, shape),
}

const shape: StreamShape = { textKey: '"text":"', texts, promptTokens }

function texts(chunk: Readonly<Record<string, unknown>>): string[] {
  if (!Array.isArray(chunk.choices)) return []
  return chunk.choices.map((choice: { text?: unknown }) => (typeof choice?.text === 'string' ? choice.text : ''))
}

function promptTokens(ask: Ask): number {
  return estimateTokens(readMember(ask.body, ask.members, 'prompt'))
}

function answerTokens(bytes: Uint8Array): number {
  return estimateTokens(texts(JSON.parse(new TextDecoder().decode(bytes))))
}
