import { describe, expect, it } from 'vitest'
import { costPico } from '../../db/model/money.ts'
import { inputTotal, NO_USAGE, outputTotal, type Usage } from '../../db/model/usage.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import { gemini } from '../../server/wire/gemini/wire.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiResponses } from '../../server/wire/openai-responses/wire.ts'
import type { Ask, Metered, Wire } from '../../server/wire/wire.ts'
import { Random } from '../helpers/random.ts'
import { bytesOf, follow, jsonBytes } from '../helpers/wire.ts'
import { CASES, type CachedCase, type Dialect, LATER } from './cached-tokens.ts'

const { priceOf } = createPrices()
const MESSAGES = [{ role: 'user', content: 'Hi' }]
const events = (...all: object[]): Uint8Array =>
  bytesOf(all.map((one) => `event: ${(one as { type: string }).type}\ndata: ${JSON.stringify(one)}\n\n`).join(''))
const chunks = (...all: object[]): Uint8Array => bytesOf(all.map((one) => `data: ${JSON.stringify(one)}\n\n`).join(''))

interface End {
  readonly wire: Wire
  readonly ask: (stream: boolean) => Ask
  readonly whole: (usage: unknown) => object
  readonly stream: (usage: unknown) => Uint8Array
}

/** Answers of each dialect around a usage object. */
const ENDS: Readonly<Record<Dialect, End>> = {
  chat: {
    wire: openaiChat,
    ask: (stream) => openaiChat.readAsk(jsonBytes({ model: 'm', messages: MESSAGES, stream })),
    whole: (usage) => ({
      ...{ id: 'c', object: 'chat.completion', created: 1, model: 'm', usage },
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
    }),
    stream: (usage) =>
      Buffer.concat([
        chunks(
          {
            id: 'c',
            object: 'chat.completion.chunk',
            choices: [{ index: 0, delta: { role: 'assistant', content: 'Hello' } }],
          },
          { id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
          { id: 'c', object: 'chat.completion.chunk', choices: [], usage },
        ),
        bytesOf('data: [DONE]\n\n'),
      ]),
  },
  responses: {
    wire: openaiResponses,
    ask: (stream) => openaiResponses.readAsk(jsonBytes({ model: 'm', input: 'Hi', stream })),
    whole: (usage) => response('completed', usage),
    stream: (usage) =>
      events(
        { type: 'response.created', sequence_number: 0, response: response('in_progress', null) },
        { type: 'response.completed', sequence_number: 1, response: response('completed', usage) },
      ),
  },
  messages: {
    wire: anthropicMessages,
    ask: (stream) => anthropicMessages.readAsk(jsonBytes({ model: 'm', max_tokens: 9, messages: MESSAGES, stream })),
    whole: (usage) => ({
      ...{ id: 'msg', type: 'message', role: 'assistant', model: 'm', usage },
      ...{ content: [{ type: 'text', text: 'Hello' }], stop_reason: 'end_turn', stop_sequence: null },
    }),
    // As the API does: the prompt's counters first, all of them once more and the answer's at the end.
    stream: (usage) =>
      events(
        {
          type: 'message_start',
          message: {
            ...{ id: 'msg', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null },
            usage: isObject(usage) ? { ...usage, output_tokens: 1, iterations: undefined } : usage,
          },
        },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage },
        { type: 'message_stop' },
      ),
  },
  gemini: {
    wire: gemini,
    ask: (stream) =>
      gemini.readAsk(jsonBytes({ contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] }), { model: 'm', stream }),
    whole: (usageMetadata) => generated(usageMetadata, 'STOP'),
    stream: (usageMetadata) => chunks(generated(undefined, undefined), generated(usageMetadata, 'STOP')),
  },
}

function response(status: string, usage: unknown): object {
  const content = [{ type: 'output_text', text: 'Hello', annotations: [] }]
  const output =
    status === 'completed' ? [{ id: 'msg', type: 'message', role: 'assistant', status: 'completed', content }] : []
  return { id: 'resp_1', object: 'response', created_at: 1, model: 'm', status, output, usage }
}

function generated(usageMetadata: unknown, finishReason: string | undefined): object {
  return {
    candidates: [{ index: 0, content: { role: 'model', parts: [{ text: 'Hello' }] }, finishReason }],
    usageMetadata,
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** What an answer with that usage is read as, whole and streamed. */
function readings(dialect: Dialect, usage: unknown): { readonly whole: Metered; readonly stream: Metered } {
  const { wire, ask, whole, stream } = ENDS[dialect]
  const { metered } = follow(wire, ask(true), { pieces: [stream(usage)] })
  return { whole: wire.readAnswer(jsonBytes(whole(usage)), ask(false)), stream: metered }
}

describe.each(CASES)('$provider/$model: $what', ({ provider, model, atMs, dialect, usage, counters, pico }) => {
  const { whole, stream } = readings(dialect, usage)
  const expected: Usage = { ...NO_USAGE, ...counters }

  it('counts each token once, in a whole answer and in a stream', () => {
    expect([whole.source, whole.usage]).toEqual(['provider', expected])
    expect([stream.source, stream.usage]).toEqual(['provider', expected])
  })

  it('costs what the price page says', () => {
    expect(costPico(whole.usage, priceOf(provider, model, atMs)!)).toBe(pico)
    expect(costPico(stream.usage, priceOf(provider, model, atMs)!)).toBe(pico)
  })
})

it('has cases of reads of all four providers, and of writes for five minutes and an hour', () => {
  const some = (provider: string, counter: keyof Usage): boolean =>
    CASES.some((one: CachedCase) => one.provider === provider && (one.counters[counter] ?? 0) > 0)
  for (const provider of ['openai', 'anthropic', 'google', 'deepseek']) expect(some(provider, 'cacheRead')).toBe(true)
  expect(some('anthropic', 'cacheWrite5m') && some('anthropic', 'cacheWrite1h')).toBe(true)
})

/** Numbers that no provider should send, and things that are no numbers. */
const ODD = [
  -1,
  -100_000,
  0.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  '12',
  '',
  true,
  null,
  undefined,
  {},
  [],
  [7],
  '-3',
  21e6,
]
const NAMES: Readonly<Record<Dialect, readonly string[]>> = {
  chat: [
    ...['prompt_tokens', 'completion_tokens', 'total_tokens', 'prompt_cache_hit_tokens', 'prompt_cache_miss_tokens'],
    ...['num_cached_tokens', 'cached_tokens'],
    ...['prompt_tokens_details.cached_tokens', 'prompt_tokens_details.audio_tokens'],
    ...['prompt_tokens_details.cache_write_tokens', 'completion_tokens_details.reasoning_tokens'],
  ],
  responses: [
    ...['input_tokens', 'output_tokens', 'total_tokens', 'input_tokens_details.cached_tokens'],
    ...['input_tokens_details.cache_write_tokens', 'output_tokens_details.reasoning_tokens'],
  ],
  messages: [
    ...['input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'],
    ...['cache_creation.ephemeral_5m_input_tokens', 'cache_creation.ephemeral_1h_input_tokens'],
    'output_tokens_details.thinking_tokens',
  ],
  gemini: [
    ...['promptTokenCount', 'candidatesTokenCount', 'totalTokenCount', 'cachedContentTokenCount'],
    ...['thoughtsTokenCount', 'toolUsePromptTokenCount'],
  ],
}

/** A usage object whose members are missing, contradict each other, or are what nobody can have meant. */
function oddUsage(random: Random, dialect: Dialect): object {
  const usage: Record<string, unknown> = {}
  for (const name of NAMES[dialect]) {
    if (random.once(4)) continue
    const value = random.once(3) ? random.pick(ODD) : random.int(random.pick([3, 1_000, 200_000]))
    const [outer, inner] = name.split('.') as [string, string | undefined]
    if (inner === undefined) usage[outer] = value
    else if (!isObject(usage[outer]) && random.once(8)) usage[outer] = random.pick(ODD)
    else usage[outer] = { ...(isObject(usage[outer]) ? usage[outer] : {}), [inner]: value }
  }
  return usage
}

describe.each(Object.keys(NAMES) as Dialect[])('an odd usage of %s', (dialect) => {
  it('never gives a counter below zero or a token twice, whole or streamed', () => {
    let read = 0
    for (let seed = 1; seed <= 500; seed++) {
      const usage = oddUsage(new Random(seed), dialect)
      const what = `seed ${seed}: ${JSON.stringify(usage)}`
      for (const { usage: counted, source } of Object.values(readings(dialect, usage))) {
        for (const tokens of Object.values(counted) as number[]) {
          expect(Number.isSafeInteger(tokens) && tokens >= 0, what).toBe(true)
        }
        expect(counted.reasoning, what).toBeLessThanOrEqual(counted.output)
        if (source !== 'provider') continue
        read++
        expect(inputTotal(counted), what).toBeLessThanOrEqual(mostInput(dialect, usage))
        for (const name of [
          'openai/gpt-5',
          'anthropic/claude-sonnet-4-5',
          'google/gemini-2.5-pro',
          'deepseek/deepseek-v4-pro',
        ]) {
          const [provider, model] = name.split('/') as [string, string]
          const cost = costPico(counted, priceOf(provider, model, LATER)!)
          expect(Number.isSafeInteger(cost) && cost >= 0, what).toBe(true)
        }
        expect(outputTotal(counted), what).toBeLessThanOrEqual(120_000_000)
      }
    }
    expect(read).toBeGreaterThan(150)
  })
})

/** Where the prompt's total includes the cached, no more than that; where counters stand side by side, their sum. */
function mostInput(dialect: Dialect, usage: object): number {
  const said = usage as Record<string, unknown>
  const count = (value: unknown): number =>
    typeof value === 'number' && value > 0 && value <= 20e6 ? Math.trunc(value) : 0
  const of = (name: string): unknown => said[name]
  if (dialect === 'chat') {
    return typeof of('prompt_tokens') === 'number' ? count(of('prompt_tokens')) : count(of('total_tokens'))
  }
  if (dialect === 'responses') {
    return typeof of('input_tokens') === 'number' ? count(of('input_tokens')) : count(of('total_tokens'))
  }
  if (dialect === 'gemini') return count(of('promptTokenCount')) + count(of('toolUsePromptTokenCount'))
  const written = isObject(of('cache_creation')) ? (of('cache_creation') as Record<string, unknown>) : {}
  const apart = count(written.ephemeral_5m_input_tokens) + count(written.ephemeral_1h_input_tokens)
  const whole = count(of('cache_creation_input_tokens')) || apart
  return count(of('input_tokens')) + count(of('cache_read_input_tokens')) + whole
}
