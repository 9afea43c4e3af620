import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { inputTotal, outputTotal, type Usage } from '../../db/model/usage.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiCompletions } from '../../server/wire/openai-completions/wire.ts'
import { openaiEmbeddings } from '../../server/wire/openai-embeddings/wire.ts'
import { AnswerError, type Ask, type Wire } from '../../server/wire/wire.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, bytesOf, chunksOf, cutAt, follow, jsonBytes } from '../helpers/wire.ts'

/** Real exchanges with providers that speak OpenAI's wire, replayed; skipped where the recordings are not at hand. */
const ROOT = new URL('../../../shared/data/exchanges/', import.meta.url)

type Json = Record<string, unknown>

interface Exchange {
  readonly id: string
  readonly request: { readonly path: string; readonly body: Json | null }
  readonly response: { readonly status: number; readonly body: string }
}

const WIRES: [string, Wire][] = [
  ['/chat/completions', openaiChat],
  ['/completions', openaiCompletions],
  ['/v1/embeddings', openaiEmbeddings],
]

function wireOf({ request }: Exchange): Wire | undefined {
  const path = request.path.split('?')[0]!
  return WIRES.find(([end]) => path.endsWith(end))?.[1]
}

function recordings(): Exchange[] {
  if (!existsSync(ROOT)) return []
  const { fixtures }: { fixtures: { file: string; api: string }[] } = JSON.parse(
    readFileSync(new URL('index.json', ROOT), 'utf8'),
  )
  const ours = fixtures.filter(({ api }) => ['chat', 'completions', 'embeddings'].includes(api))
  const all = ours.map(({ file }): Exchange => JSON.parse(readFileSync(new URL(file, ROOT), 'utf8')))
  return all.filter((exchange) => wireOf(exchange) !== undefined)
}

const ALL = recordings()
const ANSWERED = ALL.filter(({ response }) => response.status === 200)
const isStream = ({ response }: Exchange) => /^(?::|event:|data:)/.test(response.body)
const isAnswer = ({ response }: Exchange) => /"(?:choices|data)"\s*:/.test(response.body)

/** Requests of over 60 kB were not kept. */
const isWhole = ({ request }: Exchange) => request.body !== null && request.body._omitted === undefined

function askOf(exchange: Exchange, more: object = {}): Ask {
  const standIn = { model: 'm', messages: [{ role: 'user', content: 'Hi' }], prompt: 'Hi', input: ['Hi', 'you'] }
  return wireOf(exchange)!.readAsk(jsonBytes({ ...(isWhole(exchange) ? exchange.request.body : standIn), ...more }))
}

/** The counters must add up to what the recording says, read by nothing but its own words. */
function expectUsage(usage: Usage, said: Json, id: string): void {
  const total = Number(said.total_tokens)
  expect(inputTotal(usage), id).toBe(Number(said.prompt_tokens ?? total - Number(said.completion_tokens ?? 0)))
  expect(inputTotal(usage) + outputTotal(usage), id).toBe(total)
  const details = (said.prompt_tokens_details ?? {}) as Json
  expect(usage.cacheRead, id).toBe(
    Number(details.cached_tokens ?? said.prompt_cache_hit_tokens ?? said.num_cached_tokens ?? 0),
  )
  const reasoning = ((said.completion_tokens_details ?? {}) as Json).reasoning_tokens
  if (typeof reasoning === 'number') expect(usage.reasoning, id).toBe(Math.min(reasoning, usage.output))
}

describe.skipIf(ALL.length === 0)('recorded exchanges', () => {
  it('are there in numbers, of all three wires, whole and streamed', () => {
    expect(ANSWERED.length).toBeGreaterThan(150)
    for (const [, wire] of WIRES) expect(ANSWERED.some((exchange) => wireOf(exchange) === wire)).toBe(true)
    expect(ANSWERED.filter(isStream).length).toBeGreaterThan(30)
  })

  it('every recorded request is read, and goes out with nothing changed but what was asked', () => {
    const asked = ALL.filter((exchange) => isWhole(exchange))
    expect(asked.length).toBeGreaterThan(130)
    for (const exchange of asked) {
      const wire = wireOf(exchange)!
      const body = exchange.request.body!
      const ask = askOf(exchange)
      expect(ask).toMatchObject({ model: body.model, stream: body.stream === true })
      if (body.stream_options === undefined) {
        expect(wire.edit(ask, { model: ask.model, askUsage: false }).body, exchange.id).toBe(ask.body)
      }
      const sent = JSON.parse(Buffer.from(wire.edit(ask, { model: 'other', askUsage: true }).body).toString())
      const options = ask.stream ? { stream_options: { ...(body.stream_options as object), include_usage: true } } : {}
      expect(sent, exchange.id).toEqual({ ...body, model: 'other', ...options })
    }
  })

  it.each(
    ANSWERED.filter((exchange) => !isStream(exchange) && isAnswer(exchange)).map((one) => [one.id, one] as const),
  )('%s: its usage is read, its bytes are kept, its additions come once', (id, exchange) => {
    const said: Json = JSON.parse(exchange.response.body)
    const answer = wireOf(exchange)!.readAnswer(bytesOf(exchange.response.body), askOf(exchange))
    expect(answer.source).toBe(said.usage === undefined ? 'estimated' : 'provider')
    if (said.usage !== undefined) expectUsage(answer.usage, said.usage as Json, id)
    const text = (additions: typeof ADDITIONS | null) =>
      Buffer.from(answer.withAdditions(additions), 'latin1').toString()
    if (wireOf(exchange) === openaiEmbeddings) return expect(text(ADDITIONS)).toBe(text(null))
    expect(text(null)).toBe(exchange.response.body)
    expect(JSON.parse(text(ADDITIONS))).toMatchObject({ ...JSON.parse(text(null)), watchllm: { provider: 'openai' } })
    expect(text(ADDITIONS).split('"x-WatchLLM-cost-usd":')).toHaveLength(2)
  })

  it('what is no answer is refused as one', () => {
    const others = ANSWERED.filter((exchange) => !isStream(exchange) && !isAnswer(exchange))
    for (const exchange of others) {
      const read = () => wireOf(exchange)!.readAnswer(bytesOf(exchange.response.body), askOf(exchange))
      expect(read, exchange.id).toThrow(AnswerError)
    }
  })

  it('every embedding comes out as a unit vector in the encoding asked for', () => {
    for (const exchange of ANSWERED.filter((one) => wireOf(one) === openaiEmbeddings && isAnswer(one))) {
      for (const format of ['float', 'base64']) {
        const ask = askOf(exchange, { encoding_format: format })
        const text = openaiEmbeddings.readAnswer(bytesOf(exchange.response.body), ask).withAdditions(null)
        for (const { embedding } of JSON.parse(text).data) {
          expect(typeof embedding, exchange.id).toBe(format === 'float' ? 'object' : 'string')
          const bytes = format === 'float' ? null : Buffer.from(embedding, 'base64')
          const vector = bytes === null ? embedding : Array.from(new Float32Array(Uint8Array.from(bytes).buffer))
          expect(Math.hypot(...vector), exchange.id).toBeCloseTo(1, 3)
        }
      }
    }
  })

  it.each(ANSWERED.filter(isStream).map((one) => [one.id, one] as const))(
    '%s: the stream gives its usage and all its chunks, wherever it is cut',
    (id, exchange) => {
      const wire = wireOf(exchange)!
      const bytes = bytesOf(exchange.response.body)
      const all = chunksOf(Buffer.from(bytes).toString('latin1')).filter((chunk) => chunk !== '[DONE]') as Json[]
      const failed = all.findIndex(({ error }) => error !== undefined)
      const provided = failed < 0 ? all : all.slice(0, failed)
      const said = all.filter(({ usage }) => typeof usage === 'object' && usage !== null)
      for (const wantsUsage of [true, false]) {
        const ask = askOf(exchange, { stream: true, stream_options: { include_usage: wantsUsage } })
        const whole = follow(wire, ask, { pieces: [bytes] })
        expect(whole, id).toMatchObject({ finished: true, begun: true })
        expect(whole.failure === null, id).toBe(failed < 0)
        expect(whole.metered.source).toBe(said.length === 0 ? 'estimated' : 'provider')
        if (said.length > 0) expectUsage(whole.metered.usage, said.at(-1)!.usage as Json, id)
        expect(whole.metered.usage.output).toBeGreaterThan(0)

        const shown = chunksOf(whole.passed + whole.last) as Json[]
        if (wantsUsage) expect(shown.slice(0, provided.length), id).toEqual(provided)
        else expect(failed < 0 ? shown.slice(0, -1) : shown, id).toEqual(hidden(provided))

        const random = new Random(bytes.length)
        for (let round = 0; round < 4; round++) {
          const places = Array.from({ length: 40 }, () => random.int(bytes.length)).sort((a, b) => a - b)
          expect(follow(wire, ask, { pieces: cutAt(bytes, places) }), `${id} cut at ${places}`).toEqual(whole)
        }
      }
    },
  )
})

function hidden(provided: Json[]): Json[] {
  const shown = provided.filter(({ usage, choices }) => !(usage && (choices as unknown[]).length === 0))
  return shown.map(({ usage: _, ...rest }) => rest)
}
