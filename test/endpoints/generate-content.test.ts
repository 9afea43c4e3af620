import { GoogleGenAI } from '@google/genai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { fixture } from '../helpers/fixture.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { sse } from '../helpers/upstream-answers.ts'
import { gate } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const ASKED = { contents: [{ role: 'user', parts: [{ text: 'Say hi — “hi”' }] }] }
const NOT_EVENTS = ['', '?key=alt%3Dsse', '?alt=json', '?%24alt=json%3Benum-encoding%3Dint']
const EVENTS = ['?alt=sse', '?key=k&alt=sse', '?$alt=sse', '?%24alt=sse&key=k']
const pathOf = (model: string, query = '') => `/v1beta/models/${model}:streamGenerateContent${query}`

interface Chunk {
  readonly candidates?: readonly { readonly content: { readonly parts: readonly { readonly text?: string }[] } }[]
  readonly usageMetadata?: { readonly totalTokenCount: number }
  readonly error?: { readonly code: number; readonly status: string }
}

/** One of Google's own, and one of another wire: what its answer is in one text. */
const providers = [
  ['a provider of the same wire', 'gemini-2.5-flash', () => fixture('gemini/text.sse')],
  ['a provider of another wire', 'gpt-4o-mini', () => fixture('openai-responses/reasoning-text.sse')],
] as const

const textOf = (chunks: readonly Chunk[]) =>
  chunks
    .flatMap(({ candidates = [] }) => candidates.flatMap(({ content }) => content.parts.map(({ text }) => text ?? '')))
    .join('')

describe.each(providers)('streamGenerateContent with %s', (_, model, stream) => {
  it.each(EVENTS)('is server-sent events where they are asked for: %s', async (query) => {
    upstream.script(sse(stream()))
    const response = await app.fetch(post(pathOf(model, query), ASKED))
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(await response.text()).toMatch(/^data: \{/)
  })

  it.each(NOT_EVENTS)('is one array of the same chunks where they are not: "%s"', async (query) => {
    upstream.script(sse(stream(), { split: 'bytes' }))
    const events = await (await app.fetch(post(pathOf(model, '?alt=sse'), ASKED))).text()
    const response = await app.fetch(post(pathOf(model, query), ASKED))
    const chunks = (await response.json()) as Chunk[]
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
    const told = events.split('\n').filter((line) => line.startsWith('data: '))
    // Ids and times of translated chunks are of their own call.
    expect(chunks.map(({ candidates, usageMetadata }) => ({ candidates, usageMetadata }))).toEqual(
      told
        .map((line) => JSON.parse(line.slice(6)))
        .map(({ candidates, usageMetadata }) => ({ candidates, usageMetadata })),
    )
    expect(textOf(chunks).length).toBeGreaterThan(3)
    expect(chunks.at(-1)!.usageMetadata!.totalTokenCount).toBeGreaterThan(0)
    expect(app.records.map(({ outcome, usage }) => [outcome, usage])).toEqual(
      Array(2).fill(['done', app.records[0]!.usage]),
    )
    const asked = upstream.requests.map(({ path }) => path)
    if (model.startsWith('gemini')) expect(asked).toEqual(Array(2).fill(expect.stringMatching(/\?alt=sse$/)))
  })

  it('hands over each element of the array when it is there', async () => {
    const stood = gate()
    const bytes = stream()
    const last = Buffer.from(bytes).lastIndexOf('data: {') - 2
    upstream.script(sse(bytes, { stall: { at: last + 2, gate: stood } }))
    const response = await app.fetch(post(pathOf(model), ASKED))
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const read = async () => {
      const { done, value } = await reader.read()
      text += value ?? ''
      return !done
    }
    while (!text.includes('"text"') && (await read()));
    await stood.reached
    expect(textOf(JSON.parse(`${text.replace(/[\s,]+$/, '')}]`)).length).toBeGreaterThan(0)
    expect(app.records).toHaveLength(0)
    stood.open()
    while (await read());
    expect(JSON.parse(text).at(-1).usageMetadata.totalTokenCount).toBeGreaterThan(0)
  })

  it('ends the array with the error when the provider breaks off', async () => {
    const bytes = stream()
    upstream.script(sse(bytes, { cut: { at: bytes.length - 30 } }))
    const chunks = (await (await app.fetch(post(pathOf(model), ASKED))).json()) as Chunk[]
    expect(chunks.length).toBeGreaterThan(1)
    expect(chunks.at(-1)!.error).toMatchObject({ code: 502, status: expect.any(String) })
    expect(chunks.slice(0, -1).every(({ error }) => error === undefined)).toBe(true)
    expect(app.records).toMatchObject([{ outcome: 'cut' }])
  })
})

it('a whole answer is one object with and without alt=sse, and Google’s own client streams by events', async () => {
  const key = { authorization: `Bearer ${TEST_KEY}` }
  for (const query of ['', '?alt=json']) {
    const answer = await app.fetch(post(`/v1beta/models/gpt-4o-mini:generateContent${query}`, ASKED, key))
    expect(await answer.json()).toMatchObject({ candidates: [{ finishReason: 'STOP' }] })
  }
  upstream.script(sse(fixture('gemini/text.sse')))
  const { url } = await app.listen()
  const ai = new GoogleGenAI({ apiKey: PROJECT_KEY, httpOptions: { baseUrl: url } })
  let text = ''
  for await (const chunk of await ai.models.generateContentStream({ model: 'gemini-2.5-flash', contents: 'Hi' })) {
    text += chunk.text ?? ''
  }
  expect(text.length).toBeGreaterThan(3)
})
