import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixture } from '../helpers/fixture.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { type BookEntry, openaiProvider } from '../helpers/upstream-openai.ts'
import { helpersOf, MESSAGES, MODEL, openBench, SDKS, type SdkBench } from './kit.ts'

let bench: SdkBench
beforeAll(async () => {
  bench = await openBench()
})
afterAll(() => bench.close())

const WEATHER = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
const BOOKING = {
  type: 'object',
  properties: { city: { type: 'string' }, seats: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['city', 'seats'],
  additionalProperties: false,
}

describe.each(SDKS)('chat with $name', (sdk) => {
  it('gets the provider’s answer, the bill and our id', async () => {
    const books: BookEntry[] = []
    bench.upstream.script(openaiProvider({ books }))
    const answer = await bench.client(sdk).chat.completions.create({ model: MODEL, messages: MESSAGES, seed: 7 })
    expect(answer.choices[0]!.message.content).toBe('Hello from the provider')
    expect(answer.usage).toMatchObject({ prompt_tokens: books[0]!.promptTokens, completion_tokens: 4 })
    const record = bench.app.records.at(-1)!
    expect(answer._request_id).toBe(record.id)
    expect(record).toMatchObject({ outcome: 'done', usage: { input: books[0]!.promptTokens, output: 4 } })
    expect(bench.upstream.requests.at(-1)!.json()).toEqual({ model: MODEL, messages: MESSAGES, seed: 7 })
  })

  it('reads the headers of the contract beside the data', async () => {
    bench.upstream.script(openaiProvider())
    const asked = bench.client(sdk).chat.completions.create({ model: MODEL, messages: MESSAGES })
    const { data, response } = await asked.withResponse()
    expect(response.headers.get('x-watchllm-provider')).toBe('openai')
    expect(Number(response.headers.get('x-watchllm-cost-usd'))).toBeGreaterThan(0)
    expect(data).toMatchObject({ 'x-WatchLLM-cached': false, watchllm: { model_used: MODEL } })
  })

  it('streams, without a usage that it did not ask for', async () => {
    bench.upstream.script(openaiProvider())
    const stream = await bench.client(sdk).chat.completions.create({ model: MODEL, messages: MESSAGES, stream: true })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('Hello from the provider')
    expect(chunks.every((chunk) => chunk.usage === undefined || chunk.usage === null)).toBe(true)
    expect((await bench.app.settled(bench.app.records.length)).usageSource).toBe('provider')
  })

  it('streams with usage in the last chunk when it asks for it', async () => {
    const books: BookEntry[] = []
    bench.upstream.script(openaiProvider({ books }))
    const stream = await bench.client(sdk).chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    })
    let last: OpenAI.ChatCompletionChunk | null = null
    for await (const chunk of stream) last = chunk
    expect(last!.choices).toEqual([])
    expect(last!.usage).toMatchObject({ prompt_tokens: books[0]!.promptTokens, completion_tokens: 4 })
  })

  it('collects a stream into the completion that JSON would have been', async () => {
    bench.upstream.script(sse(fixture('openai-chat/text.sse')))
    const asked = { model: MODEL, messages: MESSAGES, stream_options: { include_usage: true } }
    const runner = helpersOf(bench.client(sdk)).stream(asked)
    const deltas: string[] = []
    runner.on('content', (delta) => deltas.push(delta))
    const final = await runner.finalChatCompletion()
    expect(final.choices[0]!.message.content).toBe(deltas.join(''))
    expect(final.choices[0]!.finish_reason).toBe('stop')
    expect(final.usage!.completion_tokens).toBeGreaterThan(0)
    expect((await runner.totalUsage()).total_tokens).toBe(final.usage!.total_tokens)
  })

  it('joins the pieces of parallel and interleaved tool calls', async () => {
    for (const name of ['tools-parallel', 'tools-interleaved']) {
      bench.upstream.script(sse(fixture(`openai-chat/${name}.sse`)))
      const runner = helpersOf(bench.client(sdk)).stream({ model: MODEL, messages: MESSAGES, tools: [WEATHER] })
      const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0]!
      expect(finish_reason).toBe('tool_calls')
      expect(message.tool_calls).toHaveLength(2)
      expect(new Set(message.tool_calls!.map((call) => call.id)).size).toBe(2)
      for (const call of message.tool_calls!) {
        if (call.type === 'function') expect(typeof JSON.parse(call.function.arguments)).toBe('object')
      }
    }
  })

  it('gets parallel tool calls whole', async () => {
    const bytes = fixture('openai-chat/tools-parallel.json')
    bench.upstream.script(json(bytes))
    const answer = await bench.client(sdk).chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
      tools: [WEATHER],
      parallel_tool_calls: true,
    })
    const sent = JSON.parse(Buffer.from(bytes).toString())
    expect(answer.choices[0]!.message.tool_calls).toEqual(sent.choices[0].message.tool_calls)
  })

  it('keeps every character of a stream, whatever the provider’s chunks are', async () => {
    const bytes = fixture('openai-chat/beyond-bmp.sse')
    const texts: string[] = []
    for (const split of ['frames', 'bytes'] as const) {
      bench.upstream.script(sse(bytes, { split }))
      let text = ''
      const stream = await bench.client(sdk).chat.completions.create({ model: MODEL, messages: MESSAGES, stream: true })
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      texts.push(text)
    }
    expect(texts[0]).toBe(texts[1])
    expect(texts[0]).toMatch(/\p{Extended_Pictographic}/u)
  })
})

describe.each(SDKS)('chat with $name and a test key', (sdk) => {
  it('gets the same words whole and streamed, and the same usage', async () => {
    const whole = await bench.sandbox(sdk).chat.completions.create({ model: MODEL, messages: MESSAGES })
    expect(whole.choices[0]!.message.content!.length).toBeGreaterThan(10)
    const asked = { model: MODEL, messages: MESSAGES, stream_options: { include_usage: true } }
    const streamed = await helpersOf(bench.sandbox(sdk)).stream(asked).finalChatCompletion()
    expect(streamed.choices[0]!.message.content).toBe(whole.choices[0]!.message.content)
    expect(streamed.usage!.total_tokens).toBe(whole.usage!.total_tokens)
  })

  it('parses an answer that follows a JSON schema', async () => {
    const answer = await helpersOf(bench.sandbox(sdk)).parse({
      model: MODEL,
      messages: MESSAGES,
      response_format: { type: 'json_schema', json_schema: { name: 'booking', schema: BOOKING, strict: true } },
    })
    const parsed = answer.choices[0]!.message.parsed as unknown as { city: unknown; seats: number }
    expect(Object.keys(parsed).sort()).toEqual(['city', 'seats'])
    expect(typeof parsed.city).toBe('string')
    expect(Number.isInteger(parsed.seats) && parsed.seats >= 1 && parsed.seats <= 9).toBe(true)
  })

  it.each([false, true])('runs a tool and brings its result to the answer (stream: %s)', async (stream) => {
    const seen: unknown[] = []
    const tool = {
      type: 'function' as const,
      function: {
        ...WEATHER.function,
        parse: JSON.parse,
        function: (given: object) => {
          seen.push(given)
          return 'sunny, 21 degrees'
        },
      },
    }
    const asked = { model: MODEL, messages: MESSAGES, tools: [tool] }
    const helpers = helpersOf(bench.sandbox(sdk))
    const runner = stream ? helpers.runTools({ ...asked, stream: true }) : helpers.runTools(asked)
    expect(await runner.finalContent()).toContain('sunny, 21 degrees')
    expect(seen).toEqual([{ city: expect.any(String) }])
  })
})
