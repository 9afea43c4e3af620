import { afterEach, beforeEach, expect, it } from 'vitest'
import { PROJECT_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { fixture } from '../helpers/fixture.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'

/** Pictures that models made were counted as text, which costs a twelfth of them at Gemini and a third at OpenAI. */

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

const PICO_FOR_ONE_USD_A_MILLION = 1_000_000
const CHAT = { messages: [{ role: 'user', content: 'A cat' }], stream: true, stream_options: { include_usage: true } }

it.each([
  [
    'Gemini’s own',
    '/v1beta/models/gemini-2.5-flash-image:streamGenerateContent',
    { contents: [{ parts: [{ text: 'A cat' }] }] },
  ],
  ['chat', '/v1/chat/completions', { model: 'google/gemini-2.5-flash-image', ...CHAT }],
])('a picture of Gemini costs what a picture costs, and is on the receipt: %s', async (_, path, asked) => {
  upstream.script(sse(fixture('gemini/image.sse')))
  await (await app.fetch(post(path, asked))).text()
  const record = await app.settled(1)
  expect(record.usage).toMatchObject({ input: 5, output: 2, imageOutput: 1290 })
  expect(record.costPico).toBe((5 * 0.3 + 2 * 2.5 + 1290 * 30) * PICO_FOR_ONE_USD_A_MILLION)
  const receipt = await app.fetch(
    new Request(`http://gateway.test/v1/requests/${record.id}`, {
      headers: { authorization: `Bearer ${PROJECT_KEY}` },
    }),
  )
  const { usage, cost } = (await receipt.json()) as { usage: object; cost: { lines: object[] } }
  expect(usage).toMatchObject({ output: 2, image_output: 1290 })
  expect(JSON.stringify(cost.lines)).toContain('image_output')
})

it.each([
  ['nothing more', undefined, { output: 0, imageOutput: 1056 }],
  ['what is text', { text_tokens: 56, image_tokens: 1000 }, { output: 56, imageOutput: 1000 }],
])(
  'a picture of OpenAI costs what a picture costs, where its usage says %s',
  async (_, output_tokens_details, expected) => {
    const input_tokens_details = { text_tokens: 10, image_tokens: 40 }
    const usage = {
      input_tokens: 50,
      output_tokens: 1056,
      total_tokens: 1106,
      input_tokens_details,
      output_tokens_details,
    }
    upstream.script(json({ created: 1, data: [{ b64_json: 'AAAA' }], usage }))
    await app.fetch(post('/v1/images/generations', { model: 'gpt-image-1.5', prompt: 'A cat' }))
    const record = await app.settled(1)
    expect(record.usage).toMatchObject({ input: 10, imageInput: 40, ...expected })
    const { output, imageOutput } = expected
    expect(record.costPico).toBe((10 * 5 + 40 * 8 + output * 10 + imageOutput * 32) * PICO_FOR_ONE_USD_A_MILLION)
  },
)
