import { createOpenAI } from '@ai-sdk/openai'
import type { AIMessageChunk } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, streamText } from 'ai'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import type { Completion, Part, StreamEvent } from '../../../server/wire/model.ts'
import { openaiChatDialect } from '../../../server/wire/openai-chat/dialect.ts'
import { askOf, contextOf, type Json } from './kit.ts'

/** Clients that read what the dialect writes, whole and streamed, each by its own rules. */

const finish = { reason: 'tool-calls', stopSequence: null } as const
const usage = { ...NO_USAGE, input: 20, cacheRead: 10, output: 30, reasoning: 12 }
const cited = { type: 'url', url: 'https://a.example/b', title: 'B', start: 0, end: 3, quote: null } as const
const call = (id: string, city: string): Part => ({
  type: 'tool-call',
  id,
  name: 'weather',
  arguments: JSON.stringify({ city }),
  kind: 'function',
})
const PARTS: Part[] = [
  { type: 'reasoning', text: 'Hm', summary: false, proof: { wire: 'anthropic-messages', data: 'sig' } },
  { type: 'text', text: 'Zürich 👋', citations: [cited] },
  call('toolu_1', 'Zürich'),
  call('toolu_2', 'Bern'),
]

const ANSWER: Completion = {
  ...{ id: 'msg_1', model: 'claude', createdAtS: 1, serviceTier: null, extras: [], usage },
  choices: [{ parts: PARTS, finish, logprobs: null }],
}

const EVENTS: StreamEvent[] = [
  { type: 'start', id: 'msg_1', model: 'claude', createdAtS: 1 },
  ...PARTS.flatMap((part, index): StreamEvent[] => {
    const at = { choice: 0, index }
    const pieces = (text: string): StreamEvent[] =>
      [...text].map((piece) => ({ type: 'delta', ...at, delta: { text: piece } }))
    const whole: StreamEvent = { type: 'part-end', ...at }
    if (part.type === 'tool-call') {
      return [{ type: 'part', ...at, part: { ...part, arguments: '' } }, ...pieces(part.arguments), whole]
    }
    if (part.type === 'reasoning') {
      const proof: StreamEvent = { type: 'delta', ...at, delta: { proof: part.proof! } }
      return [{ type: 'part', ...at, part: { ...part, text: '', proof: null } }, ...pieces(part.text), proof, whole]
    }
    const citations: StreamEvent = { type: 'delta', ...at, delta: { citations: [cited] } }
    return [{ type: 'part', ...at, part: { type: 'text', text: '' } }, ...pieces('Zürich 👋'), citations, whole]
  }),
  { type: 'finish', choice: 0, finish },
  { type: 'usage', usage },
  { type: 'end' },
]

/** A gateway that answers every request with the answer above. */
const gateway: typeof globalThis.fetch = async (_, init) => {
  const ask = askOf(JSON.parse(String(init!.body)) as Json)
  if (!ask.stream) {
    const body = openaiChatDialect.writeAnswer(ANSWER, { ...contextOf(ask), additions: null })
    return new Response(body, { headers: { 'content-type': 'application/json' } })
  }
  const writer = openaiChatDialect.writeStream(contextOf(ask))
  const body = EVENTS.map((event) => writer.write(event)).join('') + writer.finish(null)
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

describe("OpenAI's client", () => {
  const client = new OpenAI({ apiKey: 'k', baseURL: 'http://judge.invalid/v1', fetch: gateway, maxRetries: 0 })
  const asked = { model: 'm', messages: [{ role: 'user' as const, content: 'Weather?' }] }

  it('gathers a stream into the whole answer', async () => {
    const whole = await client.chat.completions.create(asked)
    const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } })
    const final = await stream.finalChatCompletion()
    expect(final.choices[0]!.message).toMatchObject({ content: 'Zürich 👋', role: 'assistant' })
    expect(final.usage).toEqual(whole.usage)
    expect(final.choices[0]!.finish_reason).toBe('tool_calls')
    const bare = (message: object) => {
      // Of members that it doesn't know it keeps the last piece.
      const { reasoning_details: _, reasoning_content: ___, parsed: __, ...rest } = JSON.parse(JSON.stringify(message))
      for (const one of rest.tool_calls) delete one.function.parsed_arguments
      return rest
    }
    expect(bare(final.choices[0]!.message)).toMatchObject(bare(whole.choices[0]!.message))
  })
})

describe('the AI SDK', () => {
  const model = createOpenAI({ apiKey: 'k', baseURL: 'http://judge.invalid/v1', fetch: gateway }).chat('m')

  it('reads text, calls, usage and the reason, streamed and whole', async () => {
    const asked = { model, prompt: 'Weather?', maxRetries: 0 }
    const streamed = streamText(asked)
    const text = await streamed.text
    const whole = await generateText(asked)
    for (const [said, calls, reason, used] of [
      [text, await streamed.toolCalls, await streamed.finishReason, await streamed.usage],
      [whole.text, whole.toolCalls, whole.finishReason, whole.usage],
    ] as const) {
      expect(said).toBe('Zürich 👋')
      expect(calls.map(({ toolCallId }) => toolCallId)).toEqual(['toolu_1', 'toolu_2'])
      expect(reason).toBe('tool-calls')
      expect(used).toMatchObject({ inputTokens: 30, outputTokens: 30 })
    }
  })
})

describe('LangChain', () => {
  const configuration = { baseURL: 'http://judge.invalid/v1', fetch: gateway }
  const model = new ChatOpenAI({ model: 'm', apiKey: 'k', configuration, maxRetries: 0 })

  it.each(['whole', 'streamed'])('reads text, calls and usage, %s', async (how) => {
    const message = how === 'whole' ? await model.invoke('Weather?') : await gathered(await model.stream('Weather?'))
    expect(message.text).toBe('Zürich 👋')
    expect(message.tool_calls?.map(({ id, args }) => [id, args])).toEqual([
      ['toolu_1', { city: 'Zürich' }],
      ['toolu_2', { city: 'Bern' }],
    ])
    expect(message.usage_metadata).toMatchObject({ input_tokens: 30, output_tokens: 30 })
  })
})

async function gathered(pieces: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | null = null
  for await (const piece of pieces) whole = whole === null ? piece : whole.concat(piece)
  return whole!
}
