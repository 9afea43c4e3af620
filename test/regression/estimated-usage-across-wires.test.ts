import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'

/** Usage that nobody but us has counted was marked where the wires are the same, and passed for the provider's across wires. */

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

const COUNTED = { promptTokenCount: 8, candidatesTokenCount: 3, totalTokenCount: 11 }
const chunk = (counts: boolean) =>
  JSON.stringify({
    candidates: [{ content: { parts: [{ text: 'Hi there' }], role: 'model' }, finishReason: 'STOP', index: 0 }],
    ...(counts ? { usageMetadata: COUNTED } : {}),
  })
const GEMINI = 'google/gemini-2.5-flash'
const OPTIONS = { stream_options: { include_usage: true } }

const wires: [name: string, path: string, asked: object, streamed: object][] = [
  ['chat', '/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }, OPTIONS],
  ['completions', '/v1/completions', { prompt: 'Hi' }, OPTIONS],
  ['Responses', '/v1/responses', { input: 'Hi', store: false }, {}],
]

type Usage = Record<string, unknown>

/** The last usage that a stream tells. */
function usageIn(text: string): Usage {
  const events = text.split('\n').filter((line) => line.startsWith('data: {'))
  const told = events.map((line) => JSON.parse(line.slice(6))).map((event) => event.response?.usage ?? event.usage)
  return told.findLast((usage) => usage !== undefined && usage !== null)
}

describe.each(wires)('%s', (_, path, asked, streamed) => {
  const ask = async (counts: boolean, stream: boolean, headers = {}): Promise<Usage> => {
    upstream.script(stream ? sse(`data: ${chunk(counts)}\n\n`) : json(chunk(counts)))
    const more = stream ? { stream, ...streamed } : {}
    const response = await app.fetch(post(path, { model: GEMINI, ...asked, ...more }, headers))
    return stream ? usageIn(await response.text()) : ((await response.json()) as { usage: Usage }).usage
  }

  it.each([
    ['whole', false],
    ['stream', true],
  ])('an estimate is marked as one, what the provider counted is not: %s', async (_form, stream) => {
    expect(await ask(false, stream)).toMatchObject({
      watchllm_source: 'estimated',
      watchllm_tokens: expect.any(Number),
    })
    const counted = await ask(true, stream)
    expect(counted).not.toHaveProperty('watchllm_source')
    expect(counted).toMatchObject({ watchllm_tokens: expect.any(Number), total_tokens: 11 })
    expect(app.records.map(({ usageSource }) => usageSource)).toEqual(['estimated', 'provider'])
  })

  it.each([
    ['whole', false],
    ['stream', true],
  ])('nothing is added where nothing may be: %s', async (_form, stream) => {
    const usage = await ask(false, stream, { 'x-watchllm-body': 'off' })
    expect(Object.keys(usage).filter((name) => name.startsWith('watchllm'))).toEqual([])
  })
})
