import { createAnthropic } from '@ai-sdk/anthropic'
import Anthropic from '@anthropic-ai/sdk'
import { generateText, type ModelMessage, streamText, type ToolSet, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { anthropicMessagesDialect as dialect } from '../../server/wire/anthropic-messages/dialect.ts'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import type { Completion, Part } from '../../server/wire/model.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, follow, jsonBytes } from '../helpers/wire.ts'
import { completion, framesOf, type Message, streamed, written } from './anthropic-messages/answers.ts'
import { readAll } from './anthropic-messages/contract.ts'
import { MISSING, STREAMS } from './anthropic-messages/expected.ts'

/** What Anthropic's own client and Vercel's provider make of the frames and answers that our callers get. */

type Fetch = typeof globalThis.fetch

function answering(text: string, type = 'text/event-stream'): Fetch {
  return async () => new Response(text, { headers: { 'content-type': type } })
}

const client = (fetch: Fetch) => new Anthropic({ apiKey: 'k', baseURL: 'http://gateway.test', maxRetries: 0, fetch })
const request = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] } as const

/** The message that Anthropic's accumulator ends with. */
async function accumulated(frames: string): Promise<Message> {
  const stream = client(answering(frames)).messages.stream({ ...request, messages: [...request.messages] })
  const { parsed_output: _, ...message } = await stream.finalMessage()
  return JSON.parse(JSON.stringify(message))
}

const names: readonly ('gemini' | 'anthropic-messages')[] = ['gemini', 'anthropic-messages']

function randomPart(random: Random): Part {
  const text = random.pick(['', 'Hello', 'Grüße 漢字 👩‍🚀', 'a\n\nevent: x\n\n', '"\\'])
  const proof = random.once(3) ? null : { wire: random.pick(names), data: `p${random.int(9)}+/=` }
  const args = JSON.stringify(random.pick([{}, { a: 1 }, { city: 'Zürich "x"', list: [1, [2], {}] }]))
  return random.pick<Part>([
    { type: 'text', text },
    { type: 'reasoning', text, summary: false, proof },
    { type: 'tool-call', id: `call_${random.int(999)}`, name: 'look', arguments: args, kind: 'function' },
  ])
}

function randomCompletion(seed: number): Completion {
  const random = new Random(seed)
  return completion(
    Array.from({ length: random.int(6) }, () => randomPart(random)),
    random.pick(['stop', 'length', 'tool-calls', 'refusal', 'pause']),
  )
}

/** The stream as a provider would send it that leaves nothing out. */
const wholeOf = (name: string) =>
  Buffer.from(fixture(`anthropic-messages/${name}.sse`)).toString() + (MISSING[name] ?? '')

describe('@anthropic-ai/sdk', () => {
  it('puts a stream together to the very message that the same answer is when it comes whole', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const answer = randomCompletion(seed)
      const frames = framesOf(streamed(answer, new Random(seed)), seed % 2 === 0 ? ADDITIONS : null)
      const { usage, ...message } = await accumulated(frames)
      const { usage: counted, ...whole } = written(answer)
      expect(message, `seed ${seed}`).toEqual(whole)
      expect(usage, `seed ${seed}`).toMatchObject({ input_tokens: 20, output_tokens: 9, cache_read_input_tokens: 5 })
      expect(counted).toMatchObject({ input_tokens: 20, output_tokens: 9, cache_read_input_tokens: 5 })
    }
  })

  const COMPLETE = Object.keys(STREAMS).filter((name) => STREAMS[name]!.finished && !/restarted|event-names/.test(name))
  it.each(COMPLETE)('%s.sse comes through the tap as if there were no gateway', async (name) => {
    const bytes = fixture(`anthropic-messages/${name}.sse`)
    const ask = anthropicMessages.readAsk(jsonBytes({ ...request, stream: true }))
    const { passed, last } = follow(anthropicMessages, ask, { pieces: [bytes], additions: ADDITIONS })
    const through = await accumulated(Buffer.from(passed + last, 'latin1').toString())
    expect(through).toEqual(await accumulated(wholeOf(name)))
    expect(through.stop_reason).not.toBeNull()
  })

  it.each(COMPLETE)('%s.sse says the same after a way through canonical events', async (name) => {
    const given = wholeOf(name)
    const frames = framesOf(readAll(dialect.readStream('call'), Buffer.from(given).toString('latin1')))
    const [before, after] = [await accumulated(given), await accumulated(frames)]
    expect(after.stop_reason).toBe(before.stop_reason)
    const words = ({ content }: Message) =>
      content.map((block) => block.text ?? block.thinking ?? block.input ?? block.data)
    const declined = before.stop_reason === 'refusal' ? ['This request was declined.'] : []
    // Words behind the end of their block are a block of their own.
    const join = (all: unknown[]) => (name === 'unknown-events' ? [all.join('')] : all)
    expect(join(words(after))).toEqual([...words(before), ...declined])
    for (const [name, count] of Object.entries(before.usage as Record<string, unknown>)) {
      const isTotal = /^(?:input|output|cache_read_input|cache_creation_input)_tokens$/.test(name)
      if (isTotal && !given.includes('iterations')) expect(after.usage, name).toMatchObject({ [name]: count })
    }
  })

  it.each(fixtures('anthropic-messages', '.json'))('%s reads whole', async (name) => {
    const answer = dialect.readAnswer(JSON.parse(Buffer.from(fixture(name)).toString()), 'call')
    const fetch = answering(JSON.stringify(written(answer)), 'application/json')
    const message = await client(fetch).messages.create({ ...request, messages: [...request.messages] })
    expect(message.content).toEqual(written(answer).content)
  })

  it('raises what failed in the middle of a stream', async () => {
    const events = streamed(completion([{ type: 'text', text: 'Half' }]), new Random(1)).slice(0, 3)
    const writer = dialect.writeStream({ ask: {} as never, callId: 'req_1', createdAtS: 1, model: 'm' })
    const face = { type: 'error', error: { type: 'overloaded_error', message: 'Try again' } }
    const frames = events.map((event) => writer.write(event)).join('') + writer.fail(face)
    await expect(accumulated(frames)).rejects.toThrow('Try again')
  })
})

describe('ai with @ai-sdk/anthropic', () => {
  const model = (fetch: Fetch) =>
    createAnthropic({ apiKey: 'k', baseURL: 'http://gateway.test/v1', fetch })('claude-sonnet-4-5')
  const look: ToolSet[string] = tool({ inputSchema: z.looseObject({}) })
  const parts: Part[] = [
    { type: 'reasoning', text: 'Hm', summary: true, proof: { wire: 'gemini', data: 'x' } },
    { type: 'text', text: 'Looking' },
    { type: 'tool-call', id: 'call_1', name: 'look', arguments: '{"at":"Zürich"}', kind: 'function' },
    { type: 'tool-call', id: 'call_2', name: 'look', arguments: '{}', kind: 'function' },
  ]
  const expected = { text: 'Looking', reasoningText: 'Hm', finishReason: 'tool-calls' }
  const calls = [
    { toolCallId: 'call_1', input: { at: 'Zürich' } },
    { toolCallId: 'call_2', input: {} },
  ]

  it('reads a whole answer', async () => {
    const text = JSON.stringify(written(completion(parts, 'tool-calls')))
    const result = await generateText({
      model: model(answering(text, 'application/json')),
      prompt: 'Hi',
      tools: { look },
    })
    expect(result).toMatchObject(expected)
    expect(result.toolCalls).toMatchObject(calls)
    expect(result.usage.outputTokens).toBe(9)
  })

  it('reads a stream', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const frames = framesOf(streamed(completion(parts, 'tool-calls'), new Random(seed)), ADDITIONS)
      const result = streamText({ model: model(answering(frames)), prompt: 'Hi', tools: { look } })
      const [text, reasoningText, finishReason] = [
        await result.text,
        await result.reasoningText,
        await result.finishReason,
      ]
      expect({ text, reasoningText, finishReason }).toEqual(expected)
      expect(await result.toolCalls).toMatchObject(calls)
      expect(await result.usage).toMatchObject({ outputTokens: 9 })
    }
  })

  it('gives the thoughts back that the provider signed', async () => {
    const sent: Record<string, unknown>[] = []
    const text = JSON.stringify(written(completion(parts, 'tool-calls')))
    const fetch: Fetch = async (_, init) => {
      sent.push(JSON.parse(String(init?.body)))
      return answering(text, 'application/json')(_, init)
    }
    const first = await generateText({ model: model(fetch), prompt: 'Hi', tools: { look } })
    const result = (toolCallId: string) =>
      ({ type: 'tool-result', toolCallId, toolName: 'look', output: { type: 'text', value: 'Fog' } }) as const
    const messages: ModelMessage[] = [
      { role: 'user', content: 'Hi' },
      ...first.response.messages,
      { role: 'tool', content: [result('call_1'), result('call_2')] },
    ]
    await generateText({ model: model(fetch), messages, tools: { look } })
    const { messages: read } = dialect.readPrompt(anthropicMessages.readAsk(jsonBytes(sent[1])))
    expect(read[1]!.parts).toEqual(parts)
    expect(read[2]!.parts.map((part) => part.type === 'tool-result' && part.callId)).toEqual(['call_1', 'call_2'])
  })
})
