import { describe, expect, it } from 'vitest'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import type { Additions } from '../../server/wire/wire.ts'
import { ADDITIONS, bytesOf, chunksOf, follow, jsonBytes, lateWords } from '../helpers/wire.ts'

/** Streams that once went wrong, each in the smallest form that showed it. */

const USAGE = { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 }

function chunk(delta: object | null, more: object = {}): string {
  const choices = delta === null ? [] : [{ index: 0, delta, finish_reason: null }]
  return `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 5, model: 'm', choices, ...more })}\n\n`
}

const STOP = chunk({}).replace('"finish_reason":null', '"finish_reason":"stop"')
const DONE = 'data: [DONE]\n\n'

function told(
  stream: string | string[],
  { wantsUsage = false, additions = null }: { wantsUsage?: boolean; additions?: Additions | null } = {},
) {
  const options = wantsUsage ? { stream_options: { include_usage: true } } : {}
  const ask = openaiChat.readAsk(
    jsonBytes({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream: true, ...options }),
  )
  return follow(openaiChat, ask, { pieces: [stream].flat().map(bytesOf), additions })
}

describe('a stream through the tap', () => {
  it.each(['[DONE]', 'an "error" and "usage":{', 'data: [DONE]\n\n', '{"usage":{"prompt_tokens":1}}'])(
    'may quote %j in its text: it passes whole, also where no chunk has a usage member',
    (content) => {
      const stream = chunk({ content }) + STOP
      expect(told(stream + DONE)).toMatchObject({ passed: stream, last: DONE, done: true, failure: null })
    },
  )

  it('stays finished when a comment or an empty line comes behind the last chunk', () => {
    for (const tail of [': keep-alive\n\n', '\n', 'event: ping\n\n']) {
      expect(told([chunk({ content: 'Hi' }), STOP, tail])).toMatchObject({ finished: true })
      expect(told(chunk({ content: 'Hi' }) + STOP + tail)).toMatchObject({ finished: true })
    }
  })

  it('is not finished by an empty finish reason, which some servers send on each chunk', () => {
    const open = chunk({ content: 'Hi' }).replace('"finish_reason":null', '"finish_reason":""')
    expect(told(open).finished).toBe(false)
    expect(told(open + STOP).finished).toBe(true)
  })

  it('is not finished by the first of two choices that ends', () => {
    const second = chunk({ content: 'there' }).replace('"index":0', '"index":1')
    expect(told(chunk({ content: 'Hi' }) + STOP + second).finished).toBe(false)
  })

  it('is counted the same whether chunks of different forms come together or one by one', () => {
    const frames = [
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: null, reasoning_content: 'Let me think about this for a while' }),
      chunk({ content: '', reasoning: 'and a little longer' }),
      chunk({ content: 'The answer\nis "42"' }),
      chunk({ tool_calls: [{ index: 0, function: { name: 'lookup', arguments: '{"city":"Bern"}' } }] }),
    ]
    const oneByOne = told(frames).metered.usage.output
    expect(told(frames.join('')).metered.usage.output).toBe(oneByOne)
    expect(oneByOne).toBeGreaterThan(20)
  })

  it('is counted once where each chunk repeats the whole message so far', () => {
    const repeating = ['One', 'One, two', 'One, two, three'].map((content, at) =>
      chunk({ content: ['One', ', two', ', three'][at] }).replace(
        '"index":0',
        `"index":0,"message":{"content":"${content}"}`,
      ),
    )
    const plain = ['One', ', two', ', three'].map((content) => chunk({ content }))
    expect(told(repeating).metered.usage.output).toBe(told(plain).metered.usage.output)
  })

  it('counts the parts in which Mistral thinks, and what was spoken', () => {
    const thinking = [{ type: 'thinking', thinking: [{ type: 'text', text: 'Let me see, step by step' }] }]
    expect(told(chunk({ content: thinking })).metered.usage.output).toBeGreaterThan(4)
    expect(told(chunk({ audio: { id: 'a', transcript: 'Good morning to you' } })).metered.usage.output).toBeGreaterThan(
      2,
    )
  })

  it('has begun only when something was said: a role alone costs nothing when the provider then fails', () => {
    const opening = chunk({ role: 'assistant', content: '', refusal: null })
    const failure = 'data: {"error":{"message":"overloaded"}}\n\n'
    expect(told(opening + failure)).toMatchObject({ begun: false, failure: '{"message":"overloaded"}' })
    expect(told(opening + chunk({ content: 'Hi' }) + failure).begun).toBe(true)
    expect(told(opening + chunk({ tool_calls: [{ index: 0, id: 'x' }] })).begun).toBe(true)
  })
})

describe('usage in a stream', () => {
  it('is hidden where it stands, and so is null, from a caller who did not ask', () => {
    const middle = `data: {"id":"c1","usage":null,"choices":[{"delta":{"content":"a"}}]}\n\n`
    const first = `data: {"usage": null, "id":"c1","choices":[{"delta":{"content":"b"}}]}\n\n`
    const last = `data: {"id":"c1","choices":[{"delta":{"content":"c"}}],"usage":null}\n\n`
    const expected = ['a', 'b', 'c'].map((content) => ({ id: 'c1', choices: [{ delta: { content } }] }))
    expect(chunksOf(told(middle + first + last).passed)).toEqual(expected)
    expect(chunksOf(told([last, middle + first]).passed)).toEqual([expected[2], expected[0], expected[1]])
  })

  it('is hidden when it is spread over several lines', () => {
    const lines =
      'id: 7\ndata: {"choices":[{"delta":{"content":"a"}}],\ndata: "usage":{"prompt_tokens":9,\ndata: "completion_tokens":4}}\n\n'
    const { passed, metered } = told(lines)
    expect(chunksOf(passed)).toEqual([{ choices: [{ delta: { content: 'a' } }] }])
    expect(passed).toContain('id: 7\n')
    expect(metered).toMatchObject({ source: 'provider', usage: { input: 9, output: 4 } })
  })

  it('stays one event with the additions when its chunk came in several lines', () => {
    const lines = 'data: {"choices":[],\ndata: "usage":{"prompt_tokens":9,\ndata: "completion_tokens":4}}\n\n'
    const { last } = told(chunk({ content: 'Hi' }) + STOP + lines + DONE, { wantsUsage: true, additions: ADDITIONS })
    const expected = { choices: [], usage: { prompt_tokens: 9, completion_tokens: 4, watchllm_tokens: 35 } }
    expect(chunksOf(last)).toEqual([expect.objectContaining(expected), '[DONE]'])
  })

  it('is made up when the provider says an empty one', () => {
    const { last, metered } = told(chunk({ content: 'Hi' }) + STOP + chunk(null, { usage: {} }) + DONE, {
      wantsUsage: true,
      additions: ADDITIONS,
    })
    expect(metered.source).toBe('estimated')
    const usage = { completion_tokens: 1, watchllm_source: 'estimated', watchllm_tokens: 35 }
    expect(chunksOf(last)).toEqual([expect.objectContaining({ usage: expect.objectContaining(usage) }), '[DONE]'])
  })

  it('reaches a caller who asked at the end, also when each chunk carried it so far', () => {
    const growing = chunk({ content: 'Hi' }, { usage: { ...USAGE, completion_tokens: 1, total_tokens: 10 } })
    const { passed, last, metered } = told(growing + STOP + chunk(null, { usage: USAGE }) + DONE, { wantsUsage: true })
    expect(passed).toBe(growing + STOP)
    expect(last).toBe(chunk(null, { usage: USAGE }) + DONE)
    expect(metered.usage).toMatchObject({ input: 9, output: 4 })
  })

  it('is found where Groq and Moonshot put it unasked, and told to a caller who asked in the usual place', () => {
    const groq = chunk({ content: 'Hi' }, { x_groq: { id: 'r', usage: USAGE } })
    const moonshot = chunk({ content: 'Hi' }).replace('"index":0', `"index":0,"usage":${JSON.stringify(USAGE)}`)
    for (const stream of [groq + STOP + DONE, moonshot + STOP + DONE]) {
      expect(told(stream)).toMatchObject({
        last: DONE,
        metered: { source: 'provider', usage: { input: 9, output: 4 } },
      })
      expect(chunksOf(told(stream, { wantsUsage: true }).last)[0]).toMatchObject({ choices: [], usage: USAGE })
    }
  })

  it('has its choices, without which an OpenAI client fails', () => {
    const bare = `data: {"id":"c1","usage":${JSON.stringify(USAGE)}}\n\n`
    const { last } = told(chunk({ content: 'Hi' }) + STOP + bare + DONE, { wantsUsage: true, additions: ADDITIONS })
    expect(chunksOf(last)[0]).toMatchObject({ id: 'c1', choices: [], usage: USAGE })
  })

  it('breaks nothing when a chunk names a member twice or nests deeper than we read', () => {
    const deep = `${'['.repeat(200)}${']'.repeat(200)}`
    const odd = [`"x":1,"x":2`, `"x":${deep}`]
    for (const member of odd) {
      const inChunk = `data: {"choices":[{"delta":{"content":"Hi"}}],${member},"usage":${JSON.stringify(USAGE)}}\n\n`
      expect(chunksOf(told(inChunk).passed)[0]).not.toHaveProperty('usage')
      const own = `data: {"choices":[],${member},"usage":${JSON.stringify(USAGE)}}\n\n`
      const { last } = told(STOP + own + DONE, { wantsUsage: true, additions: ADDITIONS })
      expect(chunksOf(last)[0]).toMatchObject({ usage: USAGE })
    }
  })

  it('that no model can have used is not believed', () => {
    for (const prompt of [-1, 1e15, Number.MAX_SAFE_INTEGER]) {
      const { metered } = told(
        chunk({ content: 'Hi' }) + STOP + chunk(null, { usage: { ...USAGE, prompt_tokens: prompt } }),
      )
      expect(metered.source).toBe('estimated')
    }
  })
})

describe('a failure in a stream', () => {
  const text = chunk({ content: 'Hi' })

  it.each([
    ['data: {"error":"overloaded"}\n\n', '"overloaded"'],
    ['data: {"object":"error","message":"out of memory","code":500}\n\n', 'out of memory'],
    ['event: error\ndata: {"message":"gone"}\n\n', 'gone'],
    ['event: error\ndata: gone\n\n', 'gone'],
    [chunk({ content: '' }, { error: { message: 'lost it' } }), 'lost it'],
  ])('is seen in %j', (event, words) => {
    for (const pieces of [[text, event], [text + event + DONE]]) {
      const { passed, failure, done } = told(pieces)
      expect([passed, done]).toEqual([text, false])
      expect(failure).toContain(words)
    }
  })

  it('may come with the usage that the provider charges for it', () => {
    const event = chunk({ content: '' }, { error: { code: 400, message: 'Token limit reached' }, usage: USAGE })
    expect(told(text + event).metered).toMatchObject({ source: 'provider', usage: { input: 9, output: 4 } })
  })

  it.each(['"error":null', '"error":""'])('is not seen in %s', (member) => {
    const stream = text.replace('"created":5', `"created":5,${member}`)
    expect(told(stream + STOP + DONE)).toMatchObject({ passed: stream + STOP, failure: null, done: true })
  })
})

it('a comment with the additions is one line of JSON whatever the names in it', () => {
  const odd = { ...ADDITIONS, modelUsed: 'a"b\n漢\u2028', costUsd: null, watchllmTokens: null }
  const { last } = told(chunk({ content: 'Hi' }) + STOP + DONE, { additions: odd })
  expect(last.split('\n')).toHaveLength(5)
  expect(lateWords(last)).toEqual([expect.objectContaining({ 'x-WatchLLM-cost-usd': null })])
  expect(lateWords(last)[0]!.watchllm).toMatchObject({ model_used: 'a"b\n漢\u2028', cost_usd: null })
})
