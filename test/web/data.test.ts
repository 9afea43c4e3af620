import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  ApiError,
  type ChatEvent,
  type Failure,
  fetchReceipt,
  listModels,
  readReceipt,
  streamChat,
} from '../../web/data.ts'

const KEY = 'lgw_test_0123456789abcdef'
let server: Server | undefined

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener)
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)))
  server = undefined
})

const sse = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const delta = (content: string) => sse({ model: 'gpt-4o', choices: [{ index: 0, delta: { content } }] })
const STREAM = {
  'content-type': 'text/event-stream; charset=utf-8',
  'x-request-id': 'req_1',
  'x-watchllm-provider': 'sandbox',
}

async function chat(baseUrl: string, signal = new AbortController().signal) {
  const events: ChatEvent[] = []
  let failure: Failure | null = null
  try {
    const request = { baseUrl, apiKey: KEY, model: 'gpt-4o', message: 'Hello', signal }
    for await (const event of streamChat(request)) events.push(event)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    failure = error.failure
  }
  const text = events.map((event) => (event.kind === 'text' ? event.text : '')).join('')
  return { events, failure, text }
}

describe('streamChat()', () => {
  it('asks for a stream with usage, with the key as bearer', async () => {
    let seen: unknown
    const baseUrl = await serve(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      seen = { url: request.url, authorization: request.headers.authorization, body: JSON.parse(body) }
      response.writeHead(200, STREAM).end('data: [DONE]\n\n')
    })
    await chat(baseUrl)
    expect(seen).toEqual({
      url: '/v1/chat/completions',
      authorization: `Bearer ${KEY}`,
      body: {
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'Hello' }],
        stream: true,
        stream_options: { include_usage: true },
      },
    })
  })

  it('yields head, text in order and the facts of the usage chunk', async () => {
    const baseUrl = await serve((_request, response) => {
      response.writeHead(200, STREAM)
      response.write(sse({ choices: [{ index: 0, delta: { role: 'assistant', content: '' } }], usage: null }))
      response.write(delta('Hel') + delta('lo'))
      const watchllm = { provider: 'sandbox', model_used: 'gpt-4o-mini', cost_usd: '0.00009045', routing_rule: 'auto' }
      response.write(sse({ choices: [], usage: { prompt_tokens: 8, completion_tokens: 2 }, watchllm }))
      response.end('data: [DONE]\n\n')
    })
    const { events, failure, text } = await chat(baseUrl)
    expect(failure).toBeNull()
    expect(text).toBe('Hello')
    expect(events[0]).toMatchObject({ kind: 'open', status: 200, facts: { requestId: 'req_1', inputTokens: null } })
    expect(events.at(-1)).toEqual({
      kind: 'usage',
      facts: {
        requestId: 'req_1',
        provider: 'sandbox',
        model: 'gpt-4o-mini',
        route: 'auto',
        costUsd: '0.00009045',
        inputTokens: 8,
        outputTokens: 2,
      },
    })
  })

  it('throws what an error answer says, with its request id and its wait', async () => {
    const baseUrl = await serve((_request, response) => {
      response.writeHead(429, { 'content-type': 'application/json', 'x-request-id': 'req_2', 'retry-after': '12' })
      response.end(
        '{"error":{"message":"Slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}',
      )
    })
    const { failure } = await chat(baseUrl)
    expect(failure).toEqual({
      status: 429,
      code: 'rate_limit_exceeded',
      message: 'Slow down',
      requestId: 'req_2',
      retryAfterSeconds: 12,
    })
  })

  it('names the status when an error answer has no body of ours', async () => {
    const baseUrl = await serve((_request, response) => response.writeHead(502).end('<h1>Bad gateway</h1>'))
    expect((await chat(baseUrl)).failure).toMatchObject({ status: 502, code: 'http_502', retryAfterSeconds: null })
  })

  it('keeps the text before an error event in the stream, then throws it', async () => {
    const baseUrl = await serve((_request, response) => {
      response.writeHead(200, STREAM)
      response.end(
        delta('Hel') + sse({ error: { message: 'Gone', type: 'api_error', param: null, code: 'provider_error' } }),
      )
    })
    const { failure, text } = await chat(baseUrl)
    expect(text).toBe('Hel')
    expect(failure).toMatchObject({ code: 'provider_error', message: 'Gone', requestId: 'req_1' })
  })

  it('throws stream_cut when the stream ends before [DONE]', async () => {
    const baseUrl = await serve((_request, response) => response.writeHead(200, STREAM).end(delta('Hel')))
    const { failure, text } = await chat(baseUrl)
    expect(text).toBe('Hel')
    expect(failure).toMatchObject({ status: 200, code: 'stream_cut', requestId: 'req_1' })
  })

  it('throws stream_cut when the connection breaks', async () => {
    const baseUrl = await serve((_request, response) => {
      response.writeHead(200, STREAM)
      response.write(delta('Hel'), () => response.destroy())
    })
    expect((await chat(baseUrl)).failure).toMatchObject({ code: 'stream_cut' })
  })

  it('throws network when nobody answers', async () => {
    const baseUrl = await serve(() => {})
    await new Promise((resolve) => server?.close(resolve))
    expect((await chat(baseUrl)).failure).toMatchObject({ status: 0, code: 'network', requestId: null })
  })

  it('throws unreadable when a page answers in place of a stream', async () => {
    const baseUrl = await serve((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Hi</p>'),
    )
    expect((await chat(baseUrl)).failure).toMatchObject({ status: 200, code: 'unreadable' })
  })

  it('closes the connection and throws the abort, not a failure, when it is stopped in the middle', async () => {
    const stopper = new AbortController()
    let onClosed = () => {}
    const closed = new Promise<void>((resolve) => {
      onClosed = resolve
    })
    const baseUrl = await serve((_request, response) => {
      response.on('close', onClosed)
      response.writeHead(200, STREAM).write(delta('Hel'))
    })
    const seen: string[] = []
    const request = { baseUrl, apiKey: KEY, model: 'gpt-4o', message: 'Hello', signal: stopper.signal }
    const run = (async () => {
      for await (const event of streamChat(request)) {
        if (event.kind !== 'text') continue
        seen.push(event.text)
        stopper.abort()
      }
    })()
    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    await closed
    expect(seen).toEqual(['Hel'])
  })
})

describe('fetchReceipt()', () => {
  const signal = new AbortController().signal

  it('asks again while the receipt is not written yet', async () => {
    let asked = 0
    const baseUrl = await serve((request, response) => {
      asked++
      const isThere = asked === 3
      response.writeHead(isThere ? 200 : 404, { 'content-type': 'application/json' })
      response.end(
        isThere ? JSON.stringify({ id: request.url }) : '{"error":{"code":"not_found","message":"No such call"}}',
      )
    })
    const receipt = await fetchReceipt({ baseUrl, apiKey: KEY, id: 'req/1', signal, retryDelaysMs: [0, 0, 0] })
    expect(receipt.id).toBe('/v1/requests/req%2F1')
    expect(asked).toBe(3)
  })

  it('gives up after the last delay, and at once on any other failure', async () => {
    let asked = 0
    let status = 404
    const baseUrl = await serve((_request, response) => {
      asked++
      response.writeHead(status).end()
    })
    const request = { baseUrl, apiKey: KEY, id: 'req_1', signal, retryDelaysMs: [0, 0] }
    await expect(fetchReceipt(request)).rejects.toMatchObject({ failure: { status: 404 } })
    expect(asked).toBe(3)
    status = 401
    await expect(fetchReceipt(request)).rejects.toMatchObject({ failure: { status: 401 } })
    expect(asked).toBe(4)
  })
})

describe('readReceipt()', () => {
  it('reads amounts as they are and keeps the counters that are not zero', () => {
    const lines = [{ counter: 'input', tokens: 8, usd_per_million: '2.5', usd: '0.00002' }]
    const body = {
      id: 'req_1',
      outcome: 'ok',
      usage: { input: 8, cache_read: 0, output: 2, source: 'provider' },
      cost: { usd: '0.00004', price_version: 'v1', lines },
      latency_ms: 12.5,
      overhead_ms: 0.4,
      first_byte_ms: 3,
      attempts: [{}, {}],
    }
    expect(readReceipt(body)).toEqual({
      id: 'req_1',
      outcome: 'ok',
      source: 'provider',
      usage: [
        { counter: 'input', tokens: 8 },
        { counter: 'output', tokens: 2 },
      ],
      costUsd: '0.00004',
      priceVersion: 'v1',
      lines: [{ counter: 'input', tokens: 8, usdPerMillion: '2.5', usd: '0.00002' }],
      latencyMs: 12.5,
      overheadMs: 0.4,
      firstByteMs: 3,
      attempts: 2,
    })
  })

  it('tells an unknown price from a zero one', () => {
    expect(readReceipt({ cost: { usd: null } }).costUsd).toBeNull()
    expect(readReceipt({ cost: { usd: 0 } }).costUsd).toBe('0')
  })

  it('takes a body without any field', () => {
    for (const body of [{}, null, [], 'x', { usage: null, cost: null, attempts: 3 }])
      expect(readReceipt(body)).toMatchObject({ id: '', usage: [], lines: [], costUsd: null, attempts: 0 })
  })
})

describe('listModels()', () => {
  it('answers the ids in order and passes over entries without one', async () => {
    const baseUrl = await serve((_request, response) =>
      response.writeHead(200).end('{"object":"list","data":[{"id":"b"},{"id":"a"},{},null]}'),
    )
    expect(await listModels(baseUrl, KEY)).toEqual(['b', 'a'])
  })
})
