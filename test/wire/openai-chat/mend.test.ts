import { describe, expect, it } from 'vitest'
import type { Mend } from '../../../server/wire/openai-chat/mend.ts'
import { openaiChat } from '../../../server/wire/openai-chat/wire.ts'
import { fixture, fixtures } from '../../helpers/fixture.ts'
import { Random } from '../../helpers/random.ts'
import { ADDITIONS, bytesOf, chunksOf, cutAt, follow, jsonBytes, textOf } from '../../helpers/wire.ts'
import { hasOpenaiSpec, openaiViolations } from '../../providers/json-schema.ts'
import { ASK, askOf, type Exchange, isStream, type Json, recordings } from './kit.ts'

const MEND: Mend = { callId: 'req_1', createdAtS: 1_790_000_000, model: 'm' }
const wire = openaiChat.mended(MEND)
const ask = askOf(ASK)
const streamed = askOf({ ...ASK, stream: true, stream_options: { include_usage: true } })

const ANSWERED = recordings().filter(
  ({ response }) => response.status === 200 && (response.body.includes('"choices"') || response.body.startsWith(':')),
)
const WHOLE = ANSWERED.filter((one) => !isStream(one)).map((one): [string, Exchange] => [one.id, one])
const STREAMS = ANSWERED.filter(isStream).map((one): [string, Exchange] => [one.id, one])

function mended(body: string, additions: typeof ADDITIONS | null = null): string {
  return Buffer.from(wire.readAnswer(bytesOf(body), ask).withAdditions(additions), 'latin1').toString()
}

describe.skipIf(!hasOpenaiSpec || WHOLE.length === 0)('recorded answers, mended', () => {
  it.each(WHOLE)("%s: is what OpenAI's schema says, with additions and without", (_, { response }) => {
    for (const additions of [null, ADDITIONS]) {
      const answer = JSON.parse(mended(response.body, additions))
      expect(openaiViolations('CreateChatCompletionResponse', answer)).toEqual([])
    }
  })

  it.each(WHOLE)('%s: loses nothing that was said', (_, { response }) => {
    const said: Json = JSON.parse(response.body)
    const answer: Json = JSON.parse(mended(response.body))
    expect(answer).toMatchObject(withoutNulls(said))
    expect(Object.keys(answer).filter((name) => said[name] === undefined && name !== 'id')).toEqual([])
  })

  it.each(STREAMS)("%s: each chunk is what OpenAI's schema says, wherever the stream is cut", (_, { response }) => {
    const bytes = bytesOf(response.body)
    const whole = follow(wire, streamed, { pieces: [bytes], additions: ADDITIONS })
    for (const chunk of chunksOf(whole.passed + whole.last)) {
      if (chunk === '[DONE]') continue
      const { usage, ...rest } = chunk as Json
      expect(openaiViolations('CreateChatCompletionStreamResponse', usage === null ? rest : chunk)).toEqual([])
    }
    const random = new Random(bytes.length)
    const places = Array.from({ length: 30 }, () => random.int(bytes.length)).sort((a, b) => a - b)
    expect(follow(wire, streamed, { pieces: cutAt(bytes, places), additions: ADDITIONS })).toEqual(whole)
    const plain = follow(openaiChat, streamed, { pieces: [bytes] })
    expect([whole.metered, whole.failure, whole.finished]).toEqual([plain.metered, plain.failure, plain.finished])
  })
})

describe('bytes of an answer without deviation', () => {
  const OWN = ['text', 'tools-parallel', 'cached-reasoning', 'two-choices', 'refusal']

  it.each(OWN)('%s.json: stay as they are', (name) => {
    const body = textOf(fixture(`openai-chat/${name}.json`))
    expect(mended(body)).toBe(body)
  })

  it.each(['text', 'tools-parallel', 'beyond-bmp', 'multi-line-data', 'crlf', 'spaced-json'])(
    '%s.sse: stay as they are',
    (name) => {
      const pieces = [fixture(`openai-chat/${name}.sse`)]
      expect(follow(wire, streamed, { pieces })).toEqual(follow(openaiChat, streamed, { pieces }))
    },
  )

  it.each(fixtures('openai-chat', '.sse'))('%s: keeps its texts, its usage and its failure', (name) => {
    const pieces = [fixture(name)]
    const [got, plain] = [follow(wire, streamed, { pieces }), follow(openaiChat, streamed, { pieces })]
    expect({ ...got, passed: '', last: '' }).toEqual({ ...plain, passed: '', last: '' })
  })
})

const CHUNK = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm' }
const frames = (chunks: unknown[]) => bytesOf(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join(''))
const chunksAfter = (chunks: unknown[]) =>
  chunksOf(follow(wire, streamed, { pieces: [frames(chunks)] }).passed) as Json[]

describe('edits', () => {
  const answer = (choice: object, more: object = {}) =>
    JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [choice], ...more })
  const message = { role: 'assistant', content: 'é\u4e2d', refusal: null }

  it('write text beyond ASCII as it was, escaped or not', () => {
    const plain = answer({ index: 0, message, finish_reason: 'stop' })
    const escaped = plain.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    for (const body of [plain, escaped]) {
      expect(JSON.parse(mended(body)).choices[0]).toEqual({ index: 0, message, finish_reason: 'stop', logprobs: null })
    }
  })

  it('make whatever an answer must have', () => {
    const got = JSON.parse(
      mended('{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}}]}'),
    )
    expect(got).toEqual({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_790_000_000,
      model: 'm',
      choices: [
        {
          index: 0,
          finish_reason: 'tool_calls',
          logprobs: null,
          message: {
            role: 'assistant',
            content: null,
            refusal: null,
            tool_calls: [{ id: 'call_req_1_0', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
          },
        },
      ],
    })
  })

  it.each([
    ['', 'stop'],
    ['eos', 'stop'],
    ['end_turn', 'stop'],
    ['max_tokens', 'length'],
    ['model_length', 'length'],
    ['SAFETY', 'content_filter'],
    ['whatever', 'stop'],
    [null, 'stop'],
    ['length', 'length'],
  ])('finish reason %j becomes %s', (reason, word) => {
    const body = answer({ index: 0, message, logprobs: null, finish_reason: reason })
    expect(JSON.parse(mended(body)).choices[0].finish_reason).toBe(word)
  })

  it.each([
    ['on_demand', 'default'],
    ['performance', 'priority'],
    ['', null],
    ['flex', 'flex'],
  ])('service tier %j becomes %j', (tier, word) => {
    const body = answer({ index: 0, message, logprobs: null, finish_reason: 'stop' }, { service_tier: tier })
    expect(JSON.parse(mended(body)).service_tier).toBe(word)
  })

  it('give the first delta a role, every choice a finish reason, every call a number', () => {
    const call = (id: string, name: string) => ({ id, function: { name, arguments: {} } })
    const got = chunksAfter([
      { ...CHUNK, choices: [{ delta: { content: 'a', role: null } }] },
      { ...CHUNK, choices: [{ index: 0, delta: { tool_calls: [call('x', 'f'), call('y', 'g')] } }] },
      { ...CHUNK, choices: [{ index: 0, delta: { tool_calls: [{ function: { arguments: '1' } }] } }] },
      { ...CHUNK, choices: [{ index: 0, delta: null, finish_reason: 'tool_use' }] },
    ])
    expect(got[0]!.choices).toEqual([{ index: 0, delta: { content: 'a', role: 'assistant' }, finish_reason: null }])
    const calls = got.flatMap(({ choices }) =>
      (choices as Json[]).flatMap(({ delta }) => (delta as Json).tool_calls ?? []),
    )
    expect(calls).toMatchObject([{ index: 0, id: 'x' }, { index: 1, id: 'y' }, { index: 1 }])
    expect((calls[0] as { function: Json }).function.arguments).toBe('{}')
    expect(got[3]!.choices).toEqual([{ index: 0, delta: {}, finish_reason: 'tool_calls' }])
  })

  it('bring thoughts out of a list of content', () => {
    const content = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] },
      { type: 'text', text: 'Hi' },
    ]
    const [chunk] = chunksAfter([{ ...CHUNK, choices: [{ index: 0, delta: { role: 'assistant', content } }] }])
    expect(chunk!.choices).toMatchObject([{ delta: { role: 'assistant', content: 'Hi', reasoning_content: 'Hm' } }])
  })

  it('leave errors and what is no JSON alone', () => {
    const error = { error: { message: 'Overloaded', code: 529 } }
    const { failure } = follow(wire, streamed, { pieces: [frames([{ choices: [] }, error])] })
    expect(JSON.parse(failure!)).toEqual(error.error)
    expect(follow(wire, streamed, { pieces: [bytesOf('data: {half\n\n: ping\n\n')] }).passed).toBe(
      'data: {half\n\n: ping\n\n',
    )
    expect(() => wire.readAnswer(jsonBytes({ error: 'no' }), ask)).toThrow('has no "choices"')
  })
})

/** What must still be there: nulls may go, and five members may be said in other words. */
function withoutNulls(value: unknown): Json {
  const kept = JSON.stringify(value, (name, item) => {
    const isMended = ['finish_reason', 'service_tier', 'id', 'content', 'system_fingerprint'].includes(name)
    return item === null || (isMended && typeof item !== 'string') || item === '' || item === 'on_demand'
      ? undefined
      : item
  })
  return JSON.parse(kept)
}
