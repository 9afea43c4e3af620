import { describe, expect, it } from 'vitest'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import { gemini, geminiInArrays } from '../../server/wire/gemini/wire.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiCompletions } from '../../server/wire/openai-completions/wire.ts'
import { openaiResponses } from '../../server/wire/openai-responses/wire.ts'
import { dataOf, splitFrames } from '../../server/wire/sse.ts'
import type { Wire, WireId } from '../../server/wire/wire.ts'
import { wireBetween } from '../../server/wire/wires.ts'

const TEXT = 'Once upon a time'
const sse = (...events: object[]): string =>
  events.map((event) => `${'type' in event ? `event: ${event.type}\n` : ''}data: ${JSON.stringify(event)}\n\n`).join('')

/** The beginning of an answer as each provider's wire streams it. */
const BEGUN: { readonly [id in WireId]?: string } = {
  'openai-chat': sse(
    {
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
    },
    {
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [{ index: 0, delta: { content: TEXT }, finish_reason: null }],
    },
  ),
  'openai-completions': sse({
    id: 'c',
    object: 'text_completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, text: TEXT, finish_reason: null }],
  }),
  'anthropic-messages': sse(
    {
      type: 'message_start',
      message: {
        id: 'm',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        stop_reason: null,
        usage: { input_tokens: 9, output_tokens: 1 },
      },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: TEXT } },
  ),
  'openai-responses': sse(
    {
      type: 'response.created',
      sequence_number: 0,
      response: { id: 'r', object: 'response', status: 'in_progress', output: [], model: 'm' },
    },
    {
      type: 'response.output_item.added',
      sequence_number: 1,
      output_index: 0,
      item: { id: 'msg', type: 'message', role: 'assistant', status: 'in_progress', content: [] },
    },
    {
      type: 'response.content_part.added',
      sequence_number: 2,
      item_id: 'msg',
      output_index: 0,
      content_index: 0,
      part: { type: 'output_text', text: '', annotations: [] },
    },
    {
      type: 'response.output_text.delta',
      sequence_number: 3,
      item_id: 'msg',
      output_index: 0,
      content_index: 0,
      delta: TEXT,
    },
  ),
  gemini: sse({ candidates: [{ content: { role: 'model', parts: [{ text: TEXT }] }, index: 0 }], modelVersion: 'm' }),
}

const MESSAGES = { model: 'm', stream: true, max_tokens: 99, messages: [{ role: 'user', content: 'A tale' }] }
const CALLERS: [string, Wire, object][] = [
  ['chat', openaiChat, MESSAGES],
  ['completions', openaiCompletions, { model: 'm', stream: true, prompt: 'A tale' }],
  ['Messages', anthropicMessages, MESSAGES],
  ['Responses', openaiResponses, { model: 'm', stream: true, input: 'A tale' }],
  ['Gemini', gemini, { contents: [{ parts: [{ text: 'A tale' }] }] }],
  ['Gemini in arrays', geminiInArrays, { contents: [{ parts: [{ text: 'A tale' }] }] }],
]

// biome-ignore lint/suspicious/noExplicitAny: whatever a dialect says
type Json = Record<string, any>

/** What each dialect's readers need to see at the end of an answer that got too long. */
const ENDS: Record<string, (events: Json[], all: string) => void> = {
  chat(events, all) {
    expect(events.filter(({ choices }) => choices?.[0]?.finish_reason === 'length')).toHaveLength(1)
    expect(all.endsWith('data: [DONE]\n\n')).toBe(true)
  },
  completions: (events, all) => ENDS.chat!(events, all),
  Messages(events) {
    const types = events.map(({ type }) => type)
    expect(types.slice(-3)).toEqual(['content_block_stop', 'message_delta', 'message_stop'])
    expect(events.at(-2)!.delta.stop_reason).toBe('max_tokens')
    expect(events.at(-2)!.usage.output_tokens).toBeGreaterThan(0)
  },
  Responses(events) {
    const { type, response } = events.at(-1)!
    expect([type, response.status]).toEqual(['response.incomplete', 'incomplete'])
    expect(response.incomplete_details).toEqual({ reason: 'max_output_tokens' })
    expect(response.output[0].content[0].text).toBe(TEXT)
    const numbers = events.map(({ sequence_number }) => sequence_number)
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    expect(new Set(numbers).size).toBe(numbers.length)
    const types = events.map((event) => event.type)
    const closed = ['response.output_text.done', 'response.content_part.done', 'response.output_item.done']
    expect(types.filter((one) => closed.includes(one))).toEqual(closed)
  },
  Gemini(events) {
    expect(events.at(-1)!.candidates[0].finishReason).toBe('MAX_TOKENS')
    expect(events.at(-1)!.usageMetadata.candidatesTokenCount).toBeGreaterThan(0)
  },
}

describe.each(CALLERS)('a stream for %s that is cut', (name, client, body) => {
  const providers = (Object.keys(BEGUN) as WireId[]).flatMap((id) => {
    const spoken = wireBetween(client, { wires: [id], strays: false }, { callId: 'req_1', createdAtS: 1, model: 'm' })
    return spoken === null ? [] : [[id, spoken.wire] as const]
  })

  it('can come from some provider', () => expect(providers.length).toBeGreaterThan(0))

  it.each(providers)('from %s ends as one that came to its longest', (id, wire) => {
    const ask = client.readAsk(Buffer.from(JSON.stringify(body)), { model: 'm', stream: true })
    const tap = wire.tap(ask)
    tap.mayCut?.()
    const out = [tap.push(Buffer.from(BEGUN[id]!))]
    expect(tap.written).toBeGreaterThan(2)
    out.push(tap.cut!(), tap.finish(null))
    const all = Buffer.concat(out.filter((one) => one !== null)).toString()
    const events: Json[] = all.startsWith('[')
      ? JSON.parse(all)
      : splitFrames(all).flatMap((frame) => {
          const data = dataOf(frame)
          return data === null || data === '[DONE]' ? [] : [JSON.parse(data)]
        })
    expect(all).toContain(TEXT)
    ENDS[name.replace(' in arrays', '')]!(events, all)
  })
})
