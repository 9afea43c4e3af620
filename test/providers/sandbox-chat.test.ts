import { describe, expect, it } from 'vitest'
import { chat, NOW_MS } from './ask-sandbox.ts'
import { hasOpenaiSpec, openaiViolations } from './json-schema.ts'

const user = (content: unknown) => [{ role: 'user', content }]
const joined = (events: { choices: { index: number; delta: { content?: string } }[] }[], index = 0) =>
  events.flatMap((event) => event.choices.filter((c) => c.index === index).map((c) => c.delta.content ?? '')).join('')

describe('sandbox chat', () => {
  it('answers the same to the same request, down to its ids, and differently to another', async () => {
    const [one, same, other] = await Promise.all([chat({}), chat({}), chat({ messages: user('Something else') })])
    expect(one.text).toBe(same.text)
    expect(one.json.id).not.toBe(other.json.id)
    expect(one.json.id).toMatch(/^chatcmpl-[A-Za-z0-9]{29}$/)
    expect(one.json.created).toBe(Math.floor(NOW_MS / 1000))
  })

  it('streams the very answer that it gives as JSON', async () => {
    const [json, stream] = await Promise.all([
      chat({}),
      chat({ stream: true, stream_options: { include_usage: true } }),
    ])
    expect(joined(stream.events)).toBe(json.json.choices[0].message.content)
    expect(stream.events.at(-1).usage).toEqual(json.json.usage)
    expect(stream.events[0].id).toBe(json.json.id)
  })

  it('streams the role first, tokens then, the finish reason at last, and usage only when it is asked for', async () => {
    const { events, text, header } = await chat({ stream: true })
    expect(header('content-type')).toContain('text/event-stream')
    expect(events[0].choices[0].delta).toEqual({ role: 'assistant', content: '', refusal: null })
    expect(events.at(-1).choices[0]).toEqual({ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' })
    expect(events.some((event) => 'usage' in event)).toBe(false)
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    const asked = await chat({ stream: true, stream_options: { include_usage: true } })
    expect(asked.events.slice(0, -1).every((event) => event.usage === null)).toBe(true)
    expect(asked.events.at(-1).choices).toEqual([])
  })

  it('counts what it writes: one token a content delta, and prompt tokens that grow with the prompt', async () => {
    const stream = await chat({ stream: true, stream_options: { include_usage: true } })
    const deltas = stream.events.filter((event) => event.choices[0]?.delta.content)
    const { usage } = stream.events.at(-1)
    expect(usage.completion_tokens).toBe(deltas.length)
    expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens)
    const long = await chat({ messages: user('word '.repeat(1000)) })
    expect(long.json.usage.prompt_tokens).toBeGreaterThan(900)
    expect(long.json.usage.prompt_tokens).toBeLessThan(1500)
  })

  it('ends at max_tokens with finish reason length, under either name', async () => {
    for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
      const { json } = await chat(limit)
      expect(json.choices[0].finish_reason).toBe('length')
      expect(json.usage.completion_tokens).toBe(3)
    }
  })

  it('ends before a stop sequence', async () => {
    const { json } = await chat({ stop: [' model', 'never'] })
    expect(json.choices[0].message.content).toBe('This is the WatchLLM sandbox: no')
    expect(json.choices[0].finish_reason).toBe('stop')
  })

  it('gives n choices that differ, also side by side in a stream', async () => {
    const { json } = await chat({ n: 3 })
    const texts = json.choices.map((choice: { message: { content: string } }) => choice.message.content)
    expect(new Set(texts).size).toBe(3)
    const { events } = await chat({ n: 3, stream: true })
    expect([0, 1, 2].map((i) => joined(events, i))).toEqual(texts)
  })

  it('echoes the last user message exactly, whatever is in it', async () => {
    const content = ' Zoë\t👩‍👩‍👧 "quoted" \\ \u0000 \n\n 日本語 — end  '
    const messages = [{ role: 'user', content: 'first' }, { role: 'assistant', content: 'x' }, ...user(content)]
    const [json, stream] = await Promise.all([
      chat({ model: 'sandbox/echo', messages }),
      chat({ model: 'sandbox/echo', messages, stream: true }),
    ])
    expect(json.json.choices[0].message.content).toBe(content)
    expect(joined(stream.events)).toBe(content)
  })

  it('thinks as long as reasoning_effort says, within the limit, and counts it', async () => {
    const reasoning = async (body: object) => (await chat(body)).json.usage.completion_tokens_details.reasoning_tokens
    expect(await reasoning({})).toBe(0)
    expect(await reasoning({ reasoning_effort: 'low' })).toBe(64)
    expect(await reasoning({ model: 'sandbox/reasoning' })).toBe(192)
    const short = await chat({ reasoning_effort: 'high', max_completion_tokens: 100 })
    expect(short.json.usage.completion_tokens).toBe(100)
    expect(short.json.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '' } })
  })

  it('gives log probabilities of its tokens with as many alternatives as asked for', async () => {
    const { json } = await chat({ logprobs: true, top_logprobs: 2, max_tokens: 4 })
    const { content } = json.choices[0].logprobs
    expect(content.map((entry: { token: string }) => entry.token).join('')).toBe(json.choices[0].message.content)
    expect(content[0].top_logprobs).toHaveLength(2)
    expect(content[0].logprob).toBeLessThanOrEqual(0)
    const { events } = await chat({ logprobs: true, max_tokens: 4, stream: true })
    expect(events.filter((event) => event.choices[0].logprobs?.content.length === 1)).toHaveLength(4)
  })

  it('counts images and audio of a message', async () => {
    const parts = [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: 'https://example.com/x.png' } },
      { type: 'input_audio', input_audio: { data: 'A'.repeat(40_000), format: 'wav' } },
    ]
    const { json } = await chat({ messages: user(parts) })
    expect(json.choices[0].message.content).toContain('With it came an image.')
    expect(json.usage.prompt_tokens_details.audio_tokens).toBe(20)
    expect(json.usage.prompt_tokens).toBeGreaterThan(765)
  })

  it('refuses to write more than one answer’s longest, however many choices are asked for', async () => {
    const { json } = await chat({ model: 'sandbox/echo', messages: user('word '.repeat(20_000)), n: 128 })
    expect(json.usage.completion_tokens).toBeLessThanOrEqual(16_384)
  })
})

describe.skipIf(!hasOpenaiSpec)('sandbox chat against OpenAI’s API description', () => {
  const tools = [{ type: 'function', function: { name: 'find', parameters: { type: 'object', properties: {} } } }]
  it.each([
    ['a plain answer', {}],
    ['several choices with log probabilities', { n: 2, logprobs: true, top_logprobs: 3 }],
    ['a tool call', { tools }],
    ['reasoning', { model: 'sandbox/reasoning' }],
  ])('is valid for %s, as JSON and in every chunk', async (_, body) => {
    expect(openaiViolations('CreateChatCompletionResponse', (await chat(body)).json)).toEqual([])
    const { events } = await chat({ ...body, stream: true, stream_options: { include_usage: true } })
    expect(events.length).toBeGreaterThan(3)
    for (const { usage, ...event } of events) {
      // The description's prose has `usage: null` in all chunks but the last; its type forgot the null.
      const valid = usage === null ? event : { ...event, usage }
      expect(openaiViolations('CreateChatCompletionStreamResponse', valid)).toEqual([])
    }
  })
})
