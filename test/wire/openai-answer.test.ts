import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../db/model/usage.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiCompletions } from '../../server/wire/openai-completions/wire.ts'
import { type Additions, type Answer, AnswerError, type Wire } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { jsonObject, looseJson, Random } from '../helpers/random.ts'
import { ADDITIONS, bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

type Json = Record<string, unknown>

const EXPECTED: Record<string, { usage: Json | null }> = JSON.parse(textOf(fixture('expected.json')))
const ANSWERS = ['openai-chat', 'openai-completions'].flatMap((wire) => fixtures(wire, '.json'))
const USAGE = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 }

function read(bytes: Uint8Array, wire: Wire = openaiChat): Answer {
  const ask = wire.readAsk(jsonBytes({ model: 'm', messages: [{ role: 'user', content: 'Say hi' }], prompt: 'Say hi' }))
  return wire.readAnswer(bytes, ask)
}

function readFixture(name: string): Answer {
  return read(fixture(name), name.startsWith('openai-chat') ? openaiChat : openaiCompletions)
}

/** What the caller gets, as text. */
function added(answer: Answer, additions: Additions | null = ADDITIONS): string {
  return Buffer.from(answer.withAdditions(additions), 'latin1').toString()
}

describe.each(ANSWERS)('%s', (name) => {
  const expected = EXPECTED[name]!.usage

  it('says what the provider used, and an estimate where it says nothing', () => {
    const { usage, source } = readFixture(name)
    if (expected !== null) return expect({ usage, source }).toEqual({ usage: expected, source: 'provider' })
    expect(source).toBe('estimated')
    expect(usage).toEqual({ ...NO_USAGE, input: usage.input, output: usage.output })
    expect(usage.input).toBeGreaterThan(0)
    expect(usage.output).toBeGreaterThan(0)
  })

  it('passes byte for byte when nothing is added', () => {
    expect(added(readFixture(name), null)).toBe(textOf(fixture(name)))
  })

  it('gets the additions once, and keeps every byte of its own in order', () => {
    const before = textOf(fixture(name))
    const after = added(readFixture(name))
    expect(JSON.parse(after)).toMatchObject({ ...IN_BODY, ...withoutUsage(JSON.parse(before)) })
    for (const key of [...Object.keys(IN_BODY), 'watchllm_tokens'])
      expect(after.split(`"${key}":`), key).toHaveLength(2)
    expect(isWithin(before, after)).toBe(true)
    const mark = expected === null ? { watchllm_source: 'estimated' } : {}
    const usage = JSON.parse(before).usage
    expect(JSON.parse(after).usage).toEqual({ ...(usage ?? JSON.parse(after).usage), ...mark, watchllm_tokens: 35 })
  })
})

const IN_BODY = {
  'x-WatchLLM-cached': false,
  'x-WatchLLM-cost-usd': '0.0000345',
  'x-WatchLLM-latency-ms': 12.3,
  watchllm: {
    provider: 'openai',
    model_used: 'gpt-4o-mini',
    routing_rule: 'pinned',
    cost_usd: '0.0000345',
    cached: false,
  },
}

function withoutUsage({ usage: _, ...rest }: Json): Json {
  return rest
}

/** All characters of the one stand in the other, in order: nothing was taken away. */
function isWithin(part: string, whole: string): boolean {
  let at = 0
  for (let place = 0; place < whole.length; place++) if (whole[place] === part[at]) at++
  return at === part.length
}

describe('withAdditions()', () => {
  const choices = [
    { index: 0, message: { role: 'assistant', content: 'Grüße, "you" 漢字 👩‍🚀' }, finish_reason: 'stop' },
  ]

  it('says null for an unknown cost, and nothing of tokens then', () => {
    const body = JSON.parse(
      added(read(jsonBytes({ choices, usage: USAGE })), { ...ADDITIONS, costUsd: null, watchllmTokens: null }),
    )
    expect(body).toMatchObject({ 'x-WatchLLM-cost-usd': null, watchllm: { cost_usd: null }, usage: USAGE })
    expect(body.usage).not.toHaveProperty('watchllm_tokens')
  })

  it.each([
    ['absent', '{"choices":[{"message":{"content":"hi"}}]}'],
    ['null', '{"usage":null,"choices":[{"message":{"content":"hi"}}]}'],
    ['empty', '{"choices":[{"message":{"content":"hi"}}],"usage":{},"x":1}'],
    ['of no use', '{"choices":[{"message":{"content":"hi"}}], "usage" : {"seconds":5} }\n'],
    ['not believable', '{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":-1}}'],
  ])('puts an estimate, marked as one, where usage is %s', (_, text) => {
    const answer = read(bytesOf(text))
    expect(answer.source).toBe('estimated')
    const body = JSON.parse(added(answer))
    expect(body.usage).toMatchObject({
      prompt_tokens: answer.usage.input,
      completion_tokens: 1,
      total_tokens: answer.usage.input + 1,
      watchllm_source: 'estimated',
      watchllm_tokens: 35,
    })
    expect(body).toMatchObject({ ...IN_BODY, ...withoutUsage(JSON.parse(text)) })
  })

  it('finds the usage object among all that looks like one', () => {
    const inner = { usage: { prompt_tokens: 1, total_tokens: 1 } }
    const tricky: Json[] = [
      { x_groq: inner, choices, usage: USAGE },
      { choices, usage: USAGE, x_groq: inner },
      { choices: [{ message: { content: 'usage' } }], usage: USAGE },
      { choices: [{ message: { content: '"usage":{}}' } }], usage: USAGE },
      { usage: { ...USAGE, note: '}"usage":{' }, choices },
    ]
    for (const body of tricky) {
      for (const text of [JSON.stringify(body), JSON.stringify(body, null, 2)]) {
        const { usage, ...rest } = JSON.parse(added(read(bytesOf(text))))
        expect(usage).toEqual({ ...(body.usage as Json), watchllm_tokens: 35 })
        expect(rest).toMatchObject(withoutUsage(body))
      }
    }
    const escaped = bytesOf('{"choices":[],"us\\u0061ge":{"prompt_tokens":9,"total_tokens":13,"completion_tokens":4}}')
    expect(JSON.parse(added(read(escaped))).usage).toEqual({ ...USAGE, watchllm_tokens: 35 })
  })

  it('holds over generated answers in any order, spacing and encoding', () => {
    for (let seed = 1; seed <= 1000; seed++) {
      const random = new Random(seed)
      const members = Object.entries({ ...jsonObject(random, 2), choices, usage: random.pick([USAGE, null, USAGE]) })
      const body = Object.fromEntries(random.shuffle(members))
      const answer = read(bytesOf(looseJson(random, body)))
      const after = JSON.parse(added(answer))
      expect(after, `seed ${seed}`).toMatchObject({ ...JSON.parse(JSON.stringify(withoutUsage(body))), ...IN_BODY })
      expect(after.usage.total_tokens, `seed ${seed}`).toBe(
        body.usage === null ? answer.usage.input + answer.usage.output : 13,
      )
    }
  })

  it('takes the place of the additions of a gateway before this one', () => {
    const first = added(read(jsonBytes({ choices, usage: USAGE })))
    const second = { ...ADDITIONS, provider: 'upstream-gateway', costUsd: '2', watchllmTokens: 7 }
    const body = added(read(bytesOf(first)), second)
    expect(JSON.parse(body)).toMatchObject({
      choices,
      'x-WatchLLM-cost-usd': '2',
      watchllm: { provider: 'upstream-gateway' },
    })
    expect(JSON.parse(body).usage).toEqual({ ...USAGE, watchllm_tokens: 7 })
    for (const key of [...Object.keys(IN_BODY), 'watchllm_tokens']) expect(body.split(`"${key}":`), key).toHaveLength(2)

    const estimate = added(read(jsonBytes({ choices })))
    const again = JSON.parse(added(read(bytesOf(estimate)), { ...ADDITIONS, watchllmTokens: null }))
    expect(again.usage).not.toHaveProperty('watchllm_source')
    expect(again.usage).not.toHaveProperty('watchllm_tokens')
  })

  it.each([
    '{"choices":[],"usage":{"prompt_tokens":1},"x":1,"usage":{"prompt_tokens":2}}',
    `{"choices":[],"us\\u0061ge":{"prompt_tokens":1},"x":${'['.repeat(300)}${']'.repeat(300)}}`,
  ])('leaves an answer as it is that can not be edited: %.60s', (text) => {
    expect(added(read(bytesOf(text)))).toBe(text)
  })

  it('writes names of any characters as JSON', () => {
    const odd = { ...ADDITIONS, modelUsed: 'mödel "漢"\n\u2028', route: 'a\\b', provider: '👩‍🚀' }
    const { watchllm } = JSON.parse(added(read(jsonBytes({ choices, usage: USAGE })), odd))
    expect(watchllm).toMatchObject({ model_used: odd.modelUsed, routing_rule: odd.route, provider: odd.provider })
  })
})

describe('readAnswer() refuses', () => {
  it.each([
    ['nothing', ''],
    ['HTML', '<html><body>502 Bad Gateway</body></html>'],
    ['text', 'upstream connect error'],
    ['half an answer', '{"choices":[{"message":{"content":"hi'],
    ['an array', '[{"choices":[]}]'],
    ['null', 'null'],
    ['a string', '"choices"'],
    ['an object without choices', '{"id":"x"}'],
    ['choices that are no list', '{"choices":{}}'],
    ['an error', '{"error":{"message":"no"}}'],
    ['an error beside no choices', '{"choices":[ ],"error":{"message":"no"}}'],
    ['a stream', 'data: {"choices":[]}\n\n'],
    ['two answers', '{"choices":[]}{"choices":[]}'],
  ])('%s', (_, text) => {
    expect(() => read(bytesOf(text))).toThrow(AnswerError)
    expect(() => read(bytesOf(text), openaiCompletions)).toThrow(AnswerError)
  })

  it('an answer that is cut short at any byte', () => {
    const bytes = fixture('openai-chat/tools-parallel.json')
    const end = textOf(bytes).trimEnd().length
    for (let length = 0; length < end; length++) expect(() => read(bytes.subarray(0, length))).toThrow(AnswerError)
  })

  it('nothing that random damage can do with another error than its own', () => {
    const good = fixture('openai-chat/audio.json')
    const random = new Random(11)
    for (let round = 0; round < 3000; round++) {
      const bytes = Uint8Array.from(good)
      for (let damage = 0; damage < 3; damage++) bytes[random.int(bytes.length)] = random.int(256)
      try {
        JSON.parse(added(read(bytes)))
      } catch (error) {
        expect(error).toBeInstanceOf(AnswerError)
      }
    }
  })
})
