import { expect, it } from 'vitest'
import { ask, chat, eventsOf, get, post, until } from '../helpers/client.ts'
import { fixture } from '../helpers/fixture.ts'
import { hang, sse } from '../helpers/upstream-answers.ts'
import { type BookEntry, openaiProvider } from '../helpers/upstream-openai.ts'
import { answer, gate } from '../helpers/upstream-plan.ts'
import { type Bench, CHAT, STREAM, STREAM_WITH_USAGE } from './bench.ts'

const FRAMES = 4096
/** Larger than what the kernel's buffers take on the way: 64 MiB. */
const FRAME = Buffer.from(
  `data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, delta: { content: 'a'.repeat(16_000) } }] })}\n\n`,
)

/** Calls that are answered piece by piece. */
export function streamChecks(bench: Bench): void {
  const url = (path: string): string => bench.server.url + path

  it('streams an answer and its usage', async () => {
    const books: BookEntry[] = []
    bench.upstream.script(openaiProvider({ books }))
    const streamed = await ask(url(CHAT), chat('Hello!', STREAM_WITH_USAGE))
    expect(streamed.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const events = eventsOf(streamed.text)
    expect(events.at(-1)).toBe('[DONE]')
    const chunks = events.slice(0, -1).map((event) => JSON.parse(event))
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    expect(text).toBe('Hello from the provider')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: books[0]!.promptTokens } })
  })

  it('asks the provider for usage always, and shows it only to those who asked', async () => {
    const books: BookEntry[] = []
    bench.upstream.script(openaiProvider({ books }))
    const streamed = await ask(url(CHAT), chat('Hello!', STREAM))
    expect(streamed.text).not.toContain('"usage"')
    const receipt = (await get(url(`/v1/requests/${streamed.headers.get('x-request-id')}`))).json()
    expect(receipt.usage).toMatchObject({ input: books[0]!.promptTokens, output: 4, source: 'provider' })
  })

  it('hands each piece on before the next one is there', async () => {
    const frames = Array.from(
      { length: 5 },
      (_, at) => `data: {"choices":[{"index":0,"delta":{"content":"${at}"}}]}\n\n`,
    )
    const body = `${frames.join('')}data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`
    const second = gate()
    bench.upstream.script(sse(body, { stall: { at: frames[0]!.length, gate: second } }))
    const response = await post(url(CHAT), chat('hi', STREAM))
    const reader = response.body!.getReader()
    expect(Buffer.from((await reader.read()).value!).toString()).toBe(frames[0])
    second.open()
    let rest = ''
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value)
    expect(rest.startsWith(frames.slice(1).join(''))).toBe(true)
    expect(eventsOf(rest).at(-1)).toBe('[DONE]')
  })

  it('passes characters whole that the provider splits', async () => {
    const bytes = fixture('openai-chat/beyond-bmp.sse')
    bench.upstream.script(sse(bytes, { split: 'bytes' }))
    const streamed = await ask(url(CHAT), chat('hi', STREAM_WITH_USAGE), { headers: { 'x-watchllm-body': 'off' } })
    expect(eventsOf(streamed.text)).toEqual(eventsOf(Buffer.from(bytes).toString()))
  })

  it('reaches the provider when the caller leaves in the middle, and bills what came', async () => {
    const never = gate()
    const frame = 'data: {"choices":[{"index":0,"delta":{"content":"One two three four five"}}]}\n\n'
    bench.upstream.script(sse(frame + frame, { stall: { at: frame.length, gate: never } }))
    const controller = new AbortController()
    const response = await post(url(CHAT), chat('hi', STREAM), { signal: controller.signal })
    const reader = response.body!.getReader()
    expect(Buffer.from((await reader.read()).value!).toString()).toBe(frame)
    controller.abort()
    await expect(reader.read()).rejects.toThrow()
    expect(await bench.upstream.requests.at(-1)!.ended).toBe('aborted')
    const id = response.headers.get('x-request-id')!
    const receipt = await until('the receipt', async () => {
      const found = await get(url(`/v1/requests/${id}`))
      return found.status === 200 && found.json()
    })
    expect(receipt).toMatchObject({ outcome: 'aborted', usage: { source: 'estimated' } })
    expect((receipt.usage as { output: number }).output).toBeGreaterThan(3)
  })

  it('ends a stream that the provider cut with an error event', async () => {
    for (const how of ['close', 'reset'] as const) {
      const rest = gate()
      bench.upstream.script(
        sse(fixture('openai-chat/text.sse'), { stall: { at: 900, gate: rest }, cut: { at: 1000, how } }),
      )
      const streamed = await post(url(CHAT), chat('hi', STREAM))
      const reader = streamed.body!.getReader()
      let text = Buffer.from((await reader.read()).value!).toString()
      expect(eventsOf(text)[0]).toContain('"choices"')
      rest.open()
      for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value)
      expect(JSON.parse(eventsOf(text).at(-1)!)).toMatchObject({ error: { code: 'provider_error', type: 'api_error' } })
      const receipt = (await get(url(`/v1/requests/${streamed.headers.get('x-request-id')}`))).json()
      expect(receipt).toMatchObject({ outcome: 'cut', error_code: 'provider_error', status: 200 })
    }
  })

  it('holds the provider back for a caller who reads slowly, and then passes every byte', {
    timeout: 60_000,
  }, async () => {
    let made = 0
    const end = Buffer.from('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    bench.upstream.script(
      answer({
        headers: { 'content-type': 'text/event-stream' },
        *body() {
          for (made = 1; made <= FRAMES; made++) yield FRAME
          yield end
        },
      }),
    )
    const response = await post(url(CHAT), chat('hi', STREAM))
    let seen = -1
    let same = 0
    await until('the provider to be held back', () => {
      same = made === seen ? same + 1 : 0
      seen = made
      return same === 20
    })
    expect(made).toBeLessThan(FRAMES / 2)
    let bytes = 0
    for await (const part of response.body!) bytes += part.length
    expect(bytes).toBeGreaterThanOrEqual(FRAMES * FRAME.length + end.length)
  })

  it('answers 200 streams at once', async () => {
    bench.upstream.script(openaiProvider())
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(url(CHAT), chat('hi', STREAM))))
    expect(answers.filter((one) => eventsOf(one.text).at(-1) === '[DONE]')).toHaveLength(200)
    expect(new Set(answers.map((one) => one.headers.get('x-request-id'))).size).toBe(200)
  })

  it('a provider that answers nothing is a 504 within the limit for its first byte', async () => {
    const impatient = await bench.start({
      env: { WATCHLLM_FIRST_BYTE_TIMEOUT_MS: '150', WATCHLLM_IDLE_TIMEOUT_MS: '150' },
    })
    bench.upstream.script(hang())
    const late = await ask(impatient.url + CHAT, chat('hi'))
    expect([late.status, late.json()]).toMatchObject([504, { error: { code: 'provider_timeout' } }])
    bench.upstream.script(sse(fixture('openai-chat/text.sse'), { stall: { at: 900, gate: gate() } }))
    const stalled = await ask(impatient.url + CHAT, chat('hi', STREAM))
    expect(JSON.parse(eventsOf(stalled.text).at(-1)!)).toMatchObject({ error: { code: 'provider_timeout' } })
    expect((await impatient.stop()).code).toBe(0)
  })
}
