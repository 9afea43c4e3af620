import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiError, FunctionCallingConfigMode, type GenerateContentResponse, GoogleGenAI } from '@google/genai'
import { afterEach, describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import { gemini } from '../../../server/wire/gemini/wire.ts'
import type { Part, StreamEvent } from '../../../server/wire/model.ts'
import type { SaidInPath } from '../../../server/wire/wire.ts'
import { fixture, fixtures } from '../../helpers/fixture.ts'

/** Google's own client, talking to the wire: what it sends is read, what it gets has passed the tap in small pieces. */

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

interface Line {
  readonly ai: GoogleGenAI
  readonly sent: Record<string, unknown>[]
  readonly said: SaidInPath[]
}

/** A gateway of one wire in front of a provider that answers with the fixture, cut into pieces of `size` bytes. */
async function lineTo(answer: Uint8Array, { size = 37, fail = false } = {}): Promise<Line> {
  const sent: Record<string, unknown>[] = []
  const said: SaidInPath[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const [, model, method] = /\/models\/([^:]+):(\w+)/.exec(request.url!)!
    const path = { model: model!, stream: method === 'streamGenerateContent' }
    const ask = gemini.readAsk(Buffer.concat(chunks), path)
    said.push({ model: ask.model, stream: ask.stream })
    sent.push(JSON.parse(Buffer.from(gemini.edit(ask, { model: ask.model, askUsage: true }).body).toString()))
    if (!ask.stream) {
      response.writeHead(200, { 'content-type': 'application/json' })
      return response.end(Buffer.from(gemini.readAnswer(answer, ask).withAdditions(null), 'latin1'))
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const tap = gemini.tap(ask)
    for (let at = 0; at < answer.length && tap.failure === null; at += size) {
      const passed = tap.push(answer.subarray(at, at + size))
      if (passed !== null) response.write(passed)
    }
    const rest = tap.end()
    if (rest !== null) response.write(rest)
    const face = { error: { code: 502, message: 'The provider failed', status: 'UNAVAILABLE' } }
    return response.end(fail || tap.failure !== null ? tap.fail(face) : tap.finish(null))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const ai = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: `http://127.0.0.1:${port}` } })
  return { ai, sent, said }
}

const ASKED = {
  model: 'gemini-2.5-flash',
  contents: 'Hi',
  config: {
    systemInstruction: 'Be brief',
    temperature: 0,
    tools: [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: { type: 'object' } }] }],
    toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
  },
}

/** A stream that another provider's answer became, as the whole body of it. */
function translated(): Uint8Array {
  const ask = gemini.readAsk(Buffer.from('{"contents":[{"parts":[]}]}'), { model: 'm', stream: true })
  const writer = geminiDialect.writeStream({ ask, callId: 'req_1', createdAtS: 1, model: 'm' })
  const part = (index: number, part: Part, ...texts: string[]): StreamEvent[] => [
    { type: 'part', choice: 0, index, part },
    ...texts.map((text): StreamEvent => ({ type: 'delta', choice: 0, index, delta: { text } })),
    { type: 'part-end', choice: 0, index },
  ]
  const proof = { wire: 'anthropic-messages', data: 'sig' } as const
  const events: StreamEvent[] = [
    { type: 'start', id: 'r1', model: 'claude-x', createdAtS: null },
    ...part(0, { type: 'reasoning', text: '', summary: false, proof }, 'Hm'),
    ...part(1, { type: 'text', text: '' }, 'I’ll ', 'look.'),
    ...part(
      2,
      { type: 'tool-call', id: 'c1', name: 'weather', arguments: '', kind: 'function' },
      '{"city":',
      '"Paris"}',
    ),
    { type: 'finish', choice: 0, finish: { reason: 'tool-calls', stopSequence: null } },
    { type: 'usage', usage: { ...NO_USAGE, input: 12, cacheRead: 8, output: 9, reasoning: 4 } },
    { type: 'end' },
  ]
  return Buffer.from(events.map((event) => writer.write(event)).join('') + writer.finish(null))
}

describe('@google/genai', () => {
  it('reads another provider’s stream, and its next turn is read with the thought’s proof in it', async () => {
    const { ai, sent } = await lineTo(translated())
    const chat = ai.chats.create({ model: 'm' })
    const calls: unknown[] = []
    let text = ''
    let last: GenerateContentResponse | undefined
    for await (const chunk of await chat.sendMessageStream({ message: 'Hi' })) {
      for (const part of chunk.candidates?.[0]?.content?.parts ?? []) if (!part.thought) text += part.text ?? ''
      calls.push(...(chunk.functionCalls ?? []))
      last = chunk
    }
    expect(text).toBe('I’ll look.')
    expect(calls).toEqual([{ id: 'c1', name: 'weather', args: { city: 'Paris' } }])
    expect(last?.candidates?.[0]?.finishReason).toBe('STOP')
    expect(last?.usageMetadata).toMatchObject({ promptTokenCount: 20, cachedContentTokenCount: 8, totalTokenCount: 29 })
    for await (const _ of await chat.sendMessageStream({ message: 'Go on' }));
    const ask = gemini.readAsk(Buffer.from(JSON.stringify(sent[1])), { model: 'm', stream: true })
    const { messages } = geminiDialect.readPrompt(ask)
    expect(messages[1]?.parts).toMatchObject([
      { type: 'reasoning', text: 'Hm', proof: { wire: 'anthropic-messages', data: 'sig' } },
      { type: 'text', text: 'I’ll look.' },
      { type: 'tool-call', id: 'c1', name: 'weather', arguments: '{"city":"Paris"}' },
    ])
  })

  it('its request is read and reaches the provider as it was sent', async () => {
    const { ai, sent, said } = await lineTo(fixture('gemini/text.json'))
    await ai.models.generateContent(ASKED)
    expect(said).toEqual([{ model: 'gemini-2.5-flash', stream: false }])
    expect(sent[0]).toMatchObject({
      contents: [{ role: 'user', parts: [{ text: 'Hi' }] }],
      systemInstruction: { parts: [{ text: 'Be brief' }] },
      toolConfig: { functionCallingConfig: { mode: 'ANY' } },
      generationConfig: { temperature: 0 },
    })
  })

  it('reads a whole answer with its usage', async () => {
    const { ai } = await lineTo(fixture('gemini/text.json'))
    const answer = await ai.models.generateContent(ASKED)
    expect(answer.text).toBe('Paris.')
    expect(answer.usageMetadata).toMatchObject({ promptTokenCount: 8, thoughtsTokenCount: 11 })
  })

  it('reads a blocked prompt as an answer', async () => {
    const { ai } = await lineTo(fixture('gemini/blocked.json'))
    expect((await ai.models.generateContent(ASKED)).promptFeedback?.blockReason).toBe('SAFETY')
  })

  it.each([1, 7, 100_000])('reads a stream with thoughts, calls and usage, in pieces of %i bytes', async (size) => {
    const { ai, said } = await lineTo(fixture('gemini/thoughts-and-tools.sse'), { size })
    const calls: unknown[] = []
    let text = ''
    let usage: unknown
    for await (const chunk of await ai.models.generateContentStream(ASKED)) {
      for (const part of chunk.candidates?.[0]?.content?.parts ?? []) if (!part.thought) text += part.text ?? ''
      calls.push(...(chunk.functionCalls ?? []))
      usage = chunk.usageMetadata
    }
    expect(said).toEqual([{ model: 'gemini-2.5-flash', stream: true }])
    expect(text).toBe('I’ll look.')
    expect(calls).toMatchObject([
      { name: 'weather', args: { city: 'Paris' } },
      { name: 'weather', args: { city: 'Tōkyō' }, id: 'own-7' },
    ])
    expect(usage).toMatchObject({ promptTokenCount: 40, thoughtsTokenCount: 25, cachedContentTokenCount: 16 })
  })

  const whole = fixtures('gemini', '.sse').filter((name) => !/error|cut-|crlf/.test(name))
  it.each(whole)('%s: sees every chunk of the provider', async (name) => {
    const { ai } = await lineTo(fixture(name))
    const seen: unknown[] = []
    for await (const chunk of await ai.models.generateContentStream(ASKED)) seen.push(chunk.responseId ?? null)
    expect(seen).toHaveLength(Buffer.from(fixture(name)).toString().split('data: ').length - 1)
  })

  it.each(['error-in-the-middle', 'error-first'])('%s: is told of an error in the stream', async (name) => {
    const { ai } = await lineTo(fixture(`gemini/${name}.sse`))
    const read = async () => {
      for await (const _ of await ai.models.generateContentStream(ASKED));
    }
    await expect(read).rejects.toThrow(/The provider failed/)
    await expect(read).rejects.toBeInstanceOf(ApiError)
  })

  it('is told of a failure after the last chunk', async () => {
    const { ai } = await lineTo(fixture('gemini/cut-inside-a-frame.sse'), { fail: true })
    const read = async () => {
      for await (const _ of await ai.models.generateContentStream(ASKED));
    }
    await expect(read).rejects.toThrow(/The provider failed/)
  })
})
