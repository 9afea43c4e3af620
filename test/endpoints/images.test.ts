import type OpenAI from 'openai'
import { toFile } from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { costPico } from '../../db/model/money.ts'
import { PROJECT_KEY, PROVIDER_KEY, post, TEST_KEY } from '../helpers/app.ts'
import { json, openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { openBench, SDKS, type SdkBench } from '../sdk/kit.ts'

let bench: SdkBench
let client: OpenAI
beforeEach(async () => {
  bench = await openBench()
  client = bench.client(SDKS[0])
})
afterEach(() => bench.close())

const PATH = '/v1/images/generations'
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const USAGE = {
  input_tokens: 50,
  input_tokens_details: { text_tokens: 10, image_tokens: 40 },
  output_tokens: 1056,
  total_tokens: 1106,
}
const ANSWER = { created: 1763690000, data: [{ b64_json: PNG.toString('base64') }], usage: USAGE }

const fetched = async (request: Request) => {
  const response = await bench.app.fetch(request)
  return {
    status: response.status,
    body: (await response.json()) as { error: { code: string; param: string; message: string } },
  }
}

describe('images that no provider is asked for', () => {
  it.each([
    ['a provider that draws nothing', post('/v1/deepseek/images/generations', { model: 'm', prompt: 'a' }), 400],
    ['a test key', post(PATH, { model: 'gpt-image-1', prompt: 'a' }, { authorization: `Bearer ${TEST_KEY}` }), 400],
    ['an unknown provider', post(PATH, { prompt: 'a' }, { 'x-watchllm-route': 'nobody' }), 400],
    ['bad JSON', post(PATH, '{"prompt":'), 400],
    ['another kind of body', post(PATH, 'prompt=a', { 'content-type': 'application/x-www-form-urlencoded' }), 400],
    ['a broken form', post('/v1/images/edits', '--b\r\n', { 'content-type': 'multipart/form-data; boundary=b' }), 400],
    ['a body too large', post(PATH, 'x'.repeat(33 * 1024 * 1024)), 413],
    ['no key', post(PATH, { prompt: 'a' }, { authorization: 'Bearer lgw_proj_none0123456789abcdef' }), 401],
  ])('are refused: %s', async (_, request, status) => {
    const answer = await fetched(request)
    expect(answer.status).toBe(status)
    expect(answer.body.error.message).not.toBe('')
    expect(bench.upstream.requests).toHaveLength(0)
  })
})

describe('images', () => {
  it.each([
    [429, 429, 'rate_limit_exceeded'],
    [401, 502, 'provider_error'],
    [500, 502, 'provider_error'],
  ])('that a provider refuses with %i end with %i and cost nothing', async (said, status, code) => {
    bench.upstream.script(openaiFailure(said))
    const answer = await fetched(post(PATH, { model: 'gpt-image-1', prompt: 'a' }))
    expect([answer.status, answer.body.error.code]).toEqual([status, code])
    expect(await bench.app.settled(1)).toMatchObject({ status, outcome: 'error', costPico: 0, usageSource: 'none' })
  })

  it('that come as half an answer are refused', async () => {
    bench.upstream.script(json('{"data":['))
    expect((await fetched(post(PATH, { prompt: 'a' }))).status).toBe(502)
  })

  it('come to the SDK as the provider made them, with their tokens on the bill', async () => {
    bench.upstream.script(json(ANSWER))
    const { data: answer, response } = await client.images
      .generate({ model: 'gpt-image-1', prompt: 'a cat', n: 1, size: '1024x1024', user: 'ann' })
      .withResponse()
    expect(answer).toMatchObject(ANSWER)
    expect(response.headers.get('x-watchllm-provider')).toBe('openai')
    const request = await bench.upstream.next()
    expect([request.method, request.path]).toEqual(['POST', '/v1/images/generations'])
    expect(request.headers.authorization).toBe(`Bearer ${PROVIDER_KEY}`)
    expect(request.json()).toEqual({ model: 'gpt-image-1', prompt: 'a cat', n: 1, size: '1024x1024', user: 'ann' })
    const record = await bench.app.settled(1)
    expect(record).toMatchObject({
      endpoint: 'images.generations',
      model: 'gpt-image-1',
      usage: { input: 10, imageInput: 40, imageOutput: 1056 },
      usageSource: 'provider',
      endUser: 'ann',
    })
    const [price] = bench.app.prices
    expect(record.costPico).toBe(price === null ? null : costPico(record.usage, price!))
  })

  it('without usage are unpriced, never free', async () => {
    bench.upstream.script(json({ created: 1, data: [{ url: 'https://images.test/1' }] }))
    const { response } = await client.images.generate({ model: 'dall-e-3', prompt: 'a' }).withResponse()
    expect(response.headers.get('x-watchllm-cost-usd')).toBeNull()
    expect(await bench.app.settled(1)).toMatchObject({ costPico: null, usageSource: 'none', outcome: 'done' })
  })

  it('name no model: OpenAI draws with its own, and the bytes stay', async () => {
    bench.upstream.script(json(ANSWER))
    const text = '{ "prompt":"ä" }'
    await bench.app.fetch(post(PATH, text))
    expect(Buffer.from((await bench.upstream.next()).body).toString()).toBe(text)
    expect(await bench.app.settled(1)).toMatchObject({ model: 'dall-e-2', provider: 'openai', route: 'model' })
  })

  it('go to the provider that the model or the path names, under its own name', async () => {
    bench.upstream.script(json(ANSWER))
    await bench.app.fetch(post(PATH, { model: 'together/black-forest-labs/FLUX.1-schnell', prompt: 'a' }))
    expect((await bench.upstream.next()).json()).toEqual({ model: 'black-forest-labs/FLUX.1-schnell', prompt: 'a' })
    await bench.app.fetch(post('/v1/xai/images/generations', { model: 'grok-2-image', prompt: 'a' }))
    await bench.app.settled(2)
    expect(bench.app.records.map(({ provider }) => provider)).toEqual(['together', 'xai'])
  })

  it('to be edited go as the form that the SDK sends, only the name of the model changed', async () => {
    bench.upstream.script(json(ANSWER))
    const image = await toFile(PNG, 'cat.png', { type: 'image/png' })
    await client.images.edit({ model: 'openai/gpt-image-1', prompt: 'ä hat', image: [image, image] })
    const request = await bench.upstream.next()
    expect(request.path).toBe('/v1/images/edits')
    const form = await new Response(request.body as Uint8Array<ArrayBuffer>, {
      headers: { 'content-type': request.headers['content-type']! },
    }).formData()
    expect(form.get('model')).toBe('gpt-image-1')
    expect(form.get('prompt')).toBe('ä hat')
    const images = form.getAll('image[]') as File[]
    expect(images).toHaveLength(2)
    for (const sent of images) expect(Buffer.from(await sent.arrayBuffer())).toEqual(PNG)
    expect(await bench.app.settled(1)).toMatchObject({ endpoint: 'images.edits', modelRequested: 'openai/gpt-image-1' })
  })

  it('to be varied go to the path of variations', async () => {
    bench.upstream.script(json(ANSWER))
    await client.images.createVariation({ image: await toFile(PNG, 'cat.png', { type: 'image/png' }) })
    expect((await bench.upstream.next()).path).toBe('/v1/images/variations')
  })

  it('that come as a stream pass event by event, with their tokens on the bill', async () => {
    const frame = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
    const frames =
      frame('image_generation.partial_image', { partial_image_index: 0, b64_json: 'AAAA' }) +
      frame('image_generation.completed', { b64_json: 'BBBB', usage: USAGE })
    bench.upstream.script(sse(frames, { split: 'frames' }))
    const stream = await client.images.generate({ model: 'gpt-image-1', prompt: 'a', stream: true, partial_images: 1 })
    const types: string[] = []
    for await (const event of stream) types.push(event.type)
    expect(types).toEqual(['image_generation.partial_image', 'image_generation.completed'])
    expect(await bench.app.settled(1)).toMatchObject({ outcome: 'done', stream: true, usage: { imageOutput: 1056 } })
  })

  it('whose stream breaks end with an error event, and a record that says so', async () => {
    const frames = 'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image"}\n\n'
    bench.upstream.script(sse(frames.repeat(3), { split: 'frames', cut: { at: frames.length * 2 } }))
    const response = await bench.app.fetch(post(PATH, { model: 'gpt-image-1', prompt: 'a', stream: true }))
    expect(await response.text()).toMatch(/event: error\ndata: \{"error":\{"message":.*provider_error/)
    expect(await bench.app.settled(1)).toMatchObject({ outcome: 'cut', costPico: null })
  })
})

it('a gateway key never goes to a provider', async () => {
  bench.upstream.script(json(ANSWER))
  await client.images.generate({ model: 'gpt-image-1', prompt: 'a' })
  expect(JSON.stringify((await bench.upstream.next()).rawHeaders)).not.toContain(PROJECT_KEY)
})
