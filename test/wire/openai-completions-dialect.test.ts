import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../db/model/usage.ts'
import type { Completion, Finish, Part, StreamEvent } from '../../server/wire/model.ts'
import { openaiChatDialect } from '../../server/wire/openai-chat/dialect.ts'
import { openaiCompletionsDialect } from '../../server/wire/openai-completions/dialect.ts'
import { openaiCompletions } from '../../server/wire/openai-completions/wire.ts'
import { WireError } from '../../server/wire/wire.ts'
import { ADDITIONS, chunksOf, jsonBytes, lateWords } from '../helpers/wire.ts'
import { hasOpenaiSpec, openaiViolations } from '../providers/json-schema.ts'

type Json = Record<string, unknown>

const askOf = (more: Json = {}) => openaiCompletions.readAsk(jsonBytes({ model: 'm', prompt: 'Once upon', ...more }))
const read = (more: Json = {}) => openaiCompletionsDialect.readPrompt(askOf(more))
const contextOf = (more: Json = {}) => ({ ask: askOf(more), callId: 'req_1', createdAtS: 1_790_000_000, model: 'm' })

const LOGPROBS = {
  content: [
    { token: ' a', logprob: -0.5, bytes: null, top_logprobs: [{ token: ' a', logprob: -0.5, bytes: null }] },
    { token: ' time', logprob: -1, bytes: null, top_logprobs: [] },
  ],
}

function answerOf(parts: Part[], reason: Finish['reason'] = 'stop', logprobs: unknown = null): Completion {
  return {
    ...{ id: null, model: null, createdAtS: null, serviceTier: null, extras: [] },
    usage: { ...NO_USAGE, input: 3, output: 2 },
    choices: [{ parts, finish: { reason, stopSequence: null }, logprobs }],
  }
}

const text: Part = { type: 'text', text: ' a time' }
const thought: Part = { type: 'reasoning', text: 'Hm', summary: false, proof: null }

describe('a request', () => {
  it('becomes the one message of a chat, with its parameters', () => {
    const more = {
      max_tokens: 5,
      temperature: 0,
      n: 2,
      stop: '\n',
      seed: 1,
      logprobs: 3,
      user: 'u',
      logit_bias: { 1: -1 },
    }
    const prompt = read({ ...more, best_of: 2, echo: true, suffix: null })
    const { body, adapted } = openaiChatDialect.writePrompt(prompt, { model: 'x', facts: null, promptCache: 'off' })
    expect(body).toEqual({
      ...{
        model: 'x',
        messages: [{ role: 'user', content: 'Once upon' }],
        max_tokens: 5,
        temperature: 0,
        stop: ['\n'],
      },
      ...{ seed: 1, n: 2, logit_bias: { 1: -1 }, logprobs: true, top_logprobs: 3, user: 'u' },
    })
    expect(adapted).toEqual([])
  })

  it('names what a chat can not say', () => {
    const { adapted } = openaiChatDialect.writePrompt(read({ suffix: 'the end', best_of: 3 }), {
      model: 'x',
      facts: null,
      promptCache: 'off',
    })
    expect(adapted).toEqual([
      { param: 'suffix', how: 'dropped' },
      { param: 'best_of', how: 'dropped' },
    ])
  })

  it('is one text, be it in a list; several, or tokens, are refused', () => {
    expect(read({ prompt: ['Once upon'] }).messages).toEqual(read().messages)
    for (const prompt of [['a', 'b'], [1, 2], [[1], [2]], []]) {
      expect(() => read({ prompt })).toThrow(WireError)
      expect(() => read({ prompt })).toThrow(expect.objectContaining({ param: 'prompt' }))
    }
  })
})

describe('a whole answer', () => {
  const write = (answer: Completion, more: Json = {}, additions: typeof ADDITIONS | null = null) =>
    JSON.parse(openaiCompletionsDialect.writeAnswer(answer, { ...contextOf(more), additions }))

  it.skipIf(!hasOpenaiSpec)("is what OpenAI's schema says, with additions and without", () => {
    for (const additions of [null, ADDITIONS]) {
      for (const reason of ['stop', 'length', 'filter', 'tool-calls', 'refusal', 'pause'] as const) {
        const written = write(answerOf([text], reason, LOGPROBS), {}, additions)
        expect(openaiViolations('CreateCompletionResponse', written)).toEqual([])
      }
    }
  })

  it('has the text and nothing of thoughts, and the additions once', () => {
    expect(write(answerOf([thought, text], 'length'), {}, ADDITIONS)).toMatchObject({
      id: 'cmpl-1',
      object: 'text_completion',
      choices: [{ text: ' a time', index: 0, logprobs: null, finish_reason: 'length' }],
      usage: { prompt_tokens: 3, total_tokens: 5, watchllm_tokens: 35 },
      watchllm: { provider: 'openai' },
    })
  })

  it('begins with the prompt where that was asked, and counts its logprobs from there', () => {
    const [choice] = write(answerOf([text], 'stop', LOGPROBS), { echo: true, logprobs: 1 }).choices
    expect(choice.text).toBe('Once upon a time')
    expect(choice.logprobs).toEqual({
      text_offset: [9, 11],
      token_logprobs: [-0.5, -1],
      tokens: [' a', ' time'],
      top_logprobs: [{ ' a': -0.5 }, {}],
    })
  })
})

describe('a stream', () => {
  const events: StreamEvent[] = [
    { type: 'start', id: 'x', model: 'y', createdAtS: 7 },
    { type: 'part', choice: 0, index: 0, part: thought },
    { type: 'delta', choice: 0, index: 0, delta: { text: '…' } },
    { type: 'part-end', choice: 0, index: 0 },
    { type: 'part', choice: 0, index: 1, part: { type: 'text', text: '' } },
    { type: 'delta', choice: 0, index: 1, delta: { text: ' a', logprobs: { content: [LOGPROBS.content[0]] } } },
    { type: 'delta', choice: 0, index: 1, delta: { text: ' time', logprobs: { content: [LOGPROBS.content[1]] } } },
    { type: 'part-end', choice: 0, index: 1 },
    { type: 'finish', choice: 0, finish: { reason: 'length', stopSequence: null } },
    { type: 'usage', usage: { ...NO_USAGE, input: 3, output: 2 } },
    { type: 'end' },
  ]
  const write = (more: Json, additions: typeof ADDITIONS | null = null) => {
    const writer = openaiCompletionsDialect.writeStream(contextOf({ stream: true, ...more }))
    return events.map((event) => writer.write(event)).join('') + writer.finish(additions)
  }
  const chunks = (sse: string) => chunksOf(Buffer.from(sse).toString('latin1')) as Json[]

  it("is read by OpenAI's own client as it was meant", async () => {
    const fetch = async () => new Response(write({}), { headers: { 'content-type': 'text/event-stream' } })
    const client = new OpenAI({ apiKey: 'k', baseURL: 'http://judge.invalid/v1', fetch, maxRetries: 0 })
    const pieces = []
    for await (const { choices } of await client.completions.create({ model: 'm', prompt: 'x', stream: true })) {
      pieces.push([choices[0]!.text, choices[0]!.finish_reason])
    }
    expect(pieces).toEqual([
      [' a', null],
      [' time', null],
      ['', 'length'],
    ])
  })

  it('begins with the prompt where that was asked, once', () => {
    const [first, second] = chunks(write({ echo: true })).flatMap(({ choices }) => (choices ?? []) as Json[])
    expect(first).toMatchObject({ text: 'Once upon a', logprobs: { text_offset: [9] } })
    expect(second).toMatchObject({ text: ' time', logprobs: { text_offset: [11] } })
  })

  it('says usage in a last chunk to who asked, and else in nothing but a comment', () => {
    const asked = chunks(write({ stream_options: { include_usage: true } }, ADDITIONS))
    expect(asked.slice(-2)).toMatchObject(
      [{ id: 'x', choices: [], usage: { total_tokens: 5, watchllm_tokens: 35 }, watchllm: {} }, '[DONE]'].map((one) =>
        typeof one === 'string' ? expect.anything() : one,
      ),
    )
    const unasked = write({}, ADDITIONS)
    expect(unasked).not.toContain('"usage"')
    expect(lateWords(Buffer.from(unasked).toString('latin1'))).toHaveLength(1)
    expect(unasked.endsWith('data: [DONE]\n\n')).toBe(true)
  })
})
