import { createOpenAI } from '@ai-sdk/openai'
import { ChatOpenAI } from '@langchain/openai'
import { generateText, jsonSchema, streamText, type ToolSet, tool } from 'ai'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import type { Finish, Part, StreamEvent } from '../../../server/wire/model.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'

/** The SDKs that read what we write, each with its own client in front of an answer of another wire. */

const USAGE = { ...NO_USAGE, input: 10, cacheRead: 20, output: 30, reasoning: 12 }

const SAID: readonly Part[] = [
  { type: 'reasoning', text: 'Weather is asked.', summary: false, proof: { wire: 'anthropic-messages', data: 'sig' } },
  { type: 'text', text: 'Let me look: ' },
  { type: 'text', text: 'Zürich 👋' },
  { type: 'tool-call', id: 'toolu_1', name: 'weather', arguments: '{"city":"Zürich"}', kind: 'function' },
  { type: 'tool-call', id: 'toolu_2', name: 'weather', arguments: '{"city":"Bern"}', kind: 'function' },
]
const CALLS: Finish = { reason: 'tool-calls', stopSequence: null }

interface Answered {
  readonly parts: readonly Part[]
  readonly finish: Finish
  /** The stream breaks after so many events, with an error. */
  readonly failsAfter?: number
}

/** Events as readers send them: text in pieces, the proof at the end. */
function eventsOf({ parts, finish }: Answered): StreamEvent[] {
  const events: StreamEvent[] = [{ type: 'start', id: 'msg_1', model: 'claude-opus', createdAtS: null }]
  parts.forEach((part, index) => {
    const key = part.type === 'tool-call' ? 'arguments' : 'text'
    const text = String((part as unknown as Record<string, unknown>)[key])
    const bare = part.type === 'reasoning' ? { ...part, text: '', proof: null } : { ...part, [key]: '' }
    events.push({ type: 'part', choice: 0, index, part: bare as Part })
    for (let at = 0; at < text.length; at += 3) {
      events.push({ type: 'delta', choice: 0, index, delta: { text: text.slice(at, at + 3) } })
    }
    if (part.type === 'reasoning' && part.proof) {
      events.push({ type: 'delta', choice: 0, index, delta: { proof: part.proof } })
    }
    events.push({ type: 'part-end', choice: 0, index })
  })
  return [...events, { type: 'finish', choice: 0, finish }, { type: 'usage', usage: USAGE }, { type: 'end' }]
}

/** A gateway of one answer, as `fetch`. */
function gateway(answered: Answered): typeof fetch {
  return async (_, init) => {
    const ask = openaiResponses.readAsk(Buffer.from(String(init?.body)))
    dialect.readPrompt(ask)
    const context = { ask, callId: 'req_42', createdAtS: 1_767_225_600, model: ask.model }
    if (!ask.stream) {
      const choice = { parts: answered.parts, finish: answered.finish, logprobs: null }
      const answer = {
        id: 'm',
        model: 'claude-opus',
        createdAtS: null,
        choices: [choice],
        usage: USAGE,
        serviceTier: null,
        extras: [],
      }
      const text = dialect.writeAnswer(answer, { ...context, additions: null })
      return new Response(text, { headers: { 'content-type': 'application/json' } })
    }
    const writer = dialect.writeStream(context)
    const events = eventsOf(answered).slice(0, answered.failsAfter)
    const frames = events.map((event) => writer.write(event)).join('')
    const face = {
      error: { message: 'The provider went away', type: 'api_error', param: null, code: 'provider_error' },
    }
    const last = answered.failsAfter === undefined ? writer.finish(null) : writer.fail(face)
    return new Response(frames + last, { headers: { 'content-type': 'text/event-stream' } })
  }
}

const anAnswer: Answered = { parts: SAID, finish: CALLS }
const FUNCTION = {
  type: 'function',
  name: 'weather',
  parameters: { type: 'object', properties: {} },
  strict: false,
} as const

describe('the openai SDK', () => {
  const client = (answered: Answered) => new OpenAI({ apiKey: 'k', maxRetries: 0, fetch: gateway(answered) })
  const request = { model: 'claude-opus', input: 'Weather?', tools: [FUNCTION] }

  it('adds the stream up to the very response of the last event', async () => {
    const stream = client(anAnswer).responses.stream(request)
    let text = ''
    stream.on('response.output_text.delta', ({ delta }) => {
      text += delta
    })
    const final = await stream.finalResponse()
    expect(text).toBe('Let me look: Zürich 👋')
    expect(final.output_text).toBe(text)
    expect(final.output.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call', 'function_call'])
    expect(final.output[2]).toMatchObject({ call_id: 'toolu_1', arguments: '{"city":"Zürich"}' })
    expect(final.usage).toMatchObject({ input_tokens: 30, output_tokens: 30, total_tokens: 60 })
  })

  it('sees the same items in each event of the stream and in the whole answer', async () => {
    const streamed = await client(anAnswer).responses.stream(request).finalResponse()
    const whole = await client(anAnswer).responses.create(request)
    expect(JSON.parse(JSON.stringify(streamed.output))).toMatchObject(JSON.parse(JSON.stringify(whole.output)))
    expect(whole.output_text).toBe(streamed.output_text)
  })

  it('raises the error of a stream that fails', async () => {
    const stream = client({ ...anAnswer, failsAfter: 9 }).responses.stream(request)
    await expect(stream.finalResponse()).rejects.toThrow('The provider went away')
    const plain = await client({ ...anAnswer, failsAfter: 9 }).responses.create({ ...request, stream: true })
    const read = async () => {
      for await (const _ of plain);
    }
    await expect(read()).rejects.toMatchObject({ code: 'provider_error', type: 'api_error' })
  })

  it('sees what was cut short as incomplete', async () => {
    const cut = { parts: [{ type: 'text', text: 'Once' }], finish: { reason: 'length', stopSequence: null } } as const
    const final = await client(cut)
      .responses.stream({ ...request, max_output_tokens: 16 })
      .finalResponse()
    expect(final).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } })
  })
})

describe('the AI SDK', () => {
  const model = (answered: Answered) =>
    createOpenAI({ apiKey: 'k', baseURL: 'http://x/v1', fetch: gateway(answered) })('gpt-5')
  const tools: ToolSet = { weather: tool({ inputSchema: jsonSchema<{ city: string }>({ type: 'object' }) }) }
  const asked = {
    prompt: 'Weather?',
    tools,
    maxRetries: 0,
    providerOptions: { openai: { reasoningSummary: 'auto' } },
  } as const

  it('reads text, thoughts, calls, usage and the reason of a stream', async () => {
    const result = streamText({ model: model(anAnswer), ...asked })
    expect(await result.text).toBe('Let me look: Zürich 👋')
    expect(await result.reasoningText).toBe('Weather is asked.')
    expect((await result.toolCalls).map(({ input }) => input)).toEqual([{ city: 'Zürich' }, { city: 'Bern' }])
    expect(await result.finishReason).toBe('tool-calls')
    expect(await result.usage).toMatchObject({ inputTokens: 30, outputTokens: 30 })
  })

  it('reads the whole answer alike', async () => {
    const result = await generateText({ model: model(anAnswer), ...asked })
    expect(result.text.replaceAll('\n', '')).toBe('Let me look: Zürich 👋')
    expect(result.reasoningText).toBe('Weather is asked.')
    expect(result.toolCalls.map(({ toolCallId }) => toolCallId)).toEqual(['toolu_1', 'toolu_2'])
  })

  it('hears of a stream that fails', async () => {
    const errors: unknown[] = []
    const result = streamText({
      model: model({ ...anAnswer, failsAfter: 12 }),
      ...asked,
      onError: ({ error }) => {
        errors.push(error)
      },
    })
    for await (const _ of result.fullStream);
    expect(JSON.stringify(errors.map((error) => (error as Error).message ?? error))).toContain('The provider went away')
  })
})

describe('LangChain', () => {
  const model = (answered: Answered) =>
    new ChatOpenAI({
      model: 'gpt-5',
      apiKey: 'k',
      useResponsesApi: true,
      maxRetries: 0,
      configuration: { fetch: gateway(answered) },
    })

  it('reads text, calls and usage of a stream', async () => {
    let all: Awaited<ReturnType<ChatOpenAI['invoke']>> | undefined
    for await (const chunk of await model(anAnswer).bindTools([FUNCTION]).stream('Weather?')) {
      all = all === undefined ? chunk : (all as typeof chunk).concat(chunk)
    }
    expect(all!.text).toBe('Let me look: Zürich 👋')
    expect(all!.tool_calls!.map(({ id, args }) => [id, args])).toEqual([
      ['toolu_1', { city: 'Zürich' }],
      ['toolu_2', { city: 'Bern' }],
    ])
    expect(all!.usage_metadata).toMatchObject({ input_tokens: 30, output_tokens: 30 })
  })

  it('reads the whole answer alike', async () => {
    const answer = await model(anAnswer).bindTools([FUNCTION]).invoke('Weather?')
    expect(answer.text).toBe('Let me look: Zürich 👋')
    expect(answer.tool_calls).toHaveLength(2)
  })
})
