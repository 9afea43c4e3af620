import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai'
import { afterEach, describe, expect, it } from 'vitest'
import { gemini } from '../../../server/wire/gemini.ts'
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

describe('@google/genai', () => {
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
