import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { chunk, exception } from '../helpers/aws-stream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { answer } from '../helpers/upstream-plan.ts'
import { eventsOf } from '../matrix/scenes.ts'

/** Claude on Bedrock, down the whole line: signed requests, a body of its own, streams in frames of AWS. */

const KEYS = 'AKIDEXAMPLE00000:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const MODEL = 'bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0'
const ASK = { model: MODEL, max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] }
const USAGE = { input_tokens: 9, output_tokens: 1 }
const MESSAGE = {
  id: 'msg_bdrk_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  stop_reason: null,
  usage: USAGE,
}
const EVENTS = [
  { type: 'message_start', message: { ...MESSAGE, content: [] } },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Grüße 👋' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 7 } },
  { type: 'message_stop' },
]
const FRAMES = Buffer.concat(EVENTS.map((event) => chunk(JSON.stringify(event))))
const AWS = { 'content-type': 'application/vnd.amazon.eventstream' }

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  const account = { id: 'env', own: false, apiKey: KEYS, origin: upstream.url, basePath: '' }
  app = testApp({ deps: { credentials: { of: (id) => (id === 'bedrock' ? account : null) } } })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

describe('Claude on Bedrock', () => {
  it('is asked by a signed InvokeModel, the model in the path and not in the body', async () => {
    const content = [{ type: 'text', text: 'Hi' }]
    upstream.script(
      answer({ body: JSON.stringify({ ...MESSAGE, content }), headers: { 'content-type': 'application/json' } }),
    )
    const response = await app.fetch(post('/v1/messages', ASK, { 'anthropic-beta': 'a-1,b-2' }))
    expect(await response.json()).toMatchObject({ content })
    const { path, headers, json } = upstream.requests[0]!
    expect(path).toBe('/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke')
    expect(headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE00000\/\d{8}\/[\w-]+\/bedrock\/aws4_request/,
    )
    expect(json.call(upstream.requests[0])).toEqual({
      anthropic_version: 'bedrock-2023-05-31',
      anthropic_beta: ['a-1', 'b-2'],
      max_tokens: 100,
      messages: ASK.messages,
    })
  })

  it.each(['bytes', 'frames'] as const)(
    'streams to a caller of Messages what Bedrock framed, cut at %s',
    async (split) => {
      upstream.script(answer({ body: FRAMES, headers: AWS, ...(split === 'bytes' ? { split } : {}) }))
      const response = await app.fetch(post('/v1/messages', { ...ASK, stream: true }))
      expect(response.headers.get('content-type')).toContain('text/event-stream')
      const events = eventsOf(await response.text()).map(({ data }) => JSON.parse(data))
      expect(events).toEqual(EVENTS)
      expect(app.records[0]).toMatchObject({ outcome: 'done', usage: { input: 9, output: 7 }, usageSource: 'provider' })
      expect(upstream.requests[0]!.path).toMatch(/\/invoke-with-response-stream$/)
    },
  )

  it('streams to a caller of chat as well', async () => {
    upstream.script(answer({ body: FRAMES, headers: AWS }))
    const body = { model: MODEL, messages: ASK.messages, stream: true }
    const text = await (await app.fetch(post('/v1/chat/completions', body))).text()
    expect(text).toContain('Grüße 👋')
    expect(text).toContain('data: [DONE]')
  })

  it.each([
    ['a cut in the middle of a frame', FRAMES.subarray(0, FRAMES.length - 40)],
    ['a frame that is broken', Buffer.concat([chunk(JSON.stringify(EVENTS[0])), Buffer.alloc(64, 1)])],
    ['throttling', Buffer.concat([chunk(JSON.stringify(EVENTS[0])), exception('throttlingException', 'Slow down')])],
  ])('that ends by %s ends with an error, and the caller is told in its own words', async (_name, body) => {
    upstream.script(answer({ body, headers: AWS }))
    const text = await (await app.fetch(post('/v1/messages', { ...ASK, stream: true }))).text()
    const told = text.startsWith('{') ? JSON.parse(text) : JSON.parse(eventsOf(text).at(-1)!.data)
    expect(told).toMatchObject({ type: 'error', error: { code: 'provider_error' } })
    expect(app.records[0]).toMatchObject({ errorCode: 'provider_error' })
  })
})
