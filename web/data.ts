/**
 * What the console asks of the gateway: one streamed call, its receipt, the models a key may use.
 * Every failure is an `ApiError` that carries what the contract promises about it.
 */

export interface SseEvent {
  /** The `event:` field, `message` when the frame names none. */
  readonly event: string
  readonly data: string
}

/**
 * An incremental reader of `text/event-stream`: bytes in, whole events out, wherever the bytes were cut (inside a
 * line, a CRLF or a UTF-8 character). Comments, `id` and `retry` are dropped; a frame that the stream ends inside
 * of is dropped too, as the HTML standard says.
 */
export function createSseReader(): (bytes: Uint8Array) => SseEvent[] {
  const decoder = new TextDecoder()
  let line = ''
  let afterCr = false
  let event = ''
  let data: string[] = []

  function takeLine(events: SseEvent[]): void {
    if (line === '') {
      if (data.length > 0) events.push({ event: event || 'message', data: data.join('\n') })
      event = ''
      data = []
      return
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    line = ''
  }

  return function read(bytes) {
    const events: SseEvent[] = []
    const text = decoder.decode(bytes, { stream: true })
    let from = 0
    for (let i = 0; i < text.length; i++) {
      const char = text[i]
      if (char === '\n' && afterCr) from = i + 1
      else if (char === '\n' || char === '\r') {
        line += text.slice(from, i)
        from = i + 1
        takeLine(events)
      }
      afterCr = char === '\r'
    }
    line += text.slice(from)
    return events
  }
}

/** Codes of this file beside the contract's: no answer came at all, the stream stopped short, the answer is not ours. */
export type LocalCode = 'network' | 'stream_cut' | 'unreadable'

export interface Failure {
  /** 0 when there was no answer at all. */
  readonly status: number
  readonly code: string
  readonly message: string
  readonly requestId: string | null
  readonly retryAfterSeconds: number | null
}

export class ApiError extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.name = 'ApiError'
    this.failure = failure
  }
}

type Json = { readonly [field: string]: unknown }

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function asText(value: unknown): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : null
}

function asNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

function parse(text: string): Json {
  try {
    return asObject(JSON.parse(text))
  } catch {
    return {}
  }
}

function failureOf(error: unknown, status: number, headers: Headers): Failure {
  const body = asObject(error)
  const wait = headers.get('retry-after')
  const seconds = wait === null || wait.trim() === '' ? Number.NaN : Number(wait)
  return {
    status,
    code: asText(body.code) ?? asText(body.type) ?? `http_${status}`,
    message: asText(body.message) ?? `The server answered ${status} without an error body`,
    requestId: headers.get('x-request-id'),
    retryAfterSeconds: Number.isFinite(seconds) ? seconds : null,
  }
}

/** Runs one fetch. @throws ApiError on any answer but 2xx, or none; an abort passes as it is. */
async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, credentials: 'same-origin' }).catch((error: unknown) => {
    if (init.signal?.aborted) throw error
    const message = `Nothing answered at ${new URL(url).origin}`
    throw new ApiError({ status: 0, code: 'network', message, requestId: null, retryAfterSeconds: null })
  })
  if (response.ok) return response
  const text = await response.text().catch(() => '')
  throw new ApiError(failureOf(parse(text).error, response.status, response.headers))
}

export interface ChatRequest {
  /** Such as `http://localhost:8787/v1`. */
  readonly baseUrl: string
  readonly apiKey: string
  readonly model: string
  readonly message: string
  readonly signal: AbortSignal
}

/** What the gateway has told about a call so far. `costUsd` is a decimal string; null is “not told”. */
export interface CallFacts {
  readonly requestId: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly route: string | null
  readonly costUsd: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
}

export type ChatEvent =
  /** The head of the answer arrived. */
  | { readonly kind: 'open'; readonly status: number; readonly facts: CallFacts }
  | { readonly kind: 'text'; readonly text: string }
  /** The last chunk: usage and cost. */
  | { readonly kind: 'usage'; readonly facts: CallFacts }

function factsOfHead(headers: Headers): CallFacts {
  return {
    requestId: headers.get('x-request-id'),
    provider: headers.get('x-watchllm-provider'),
    model: headers.get('x-watchllm-model'),
    route: headers.get('x-watchllm-route'),
    costUsd: headers.get('x-watchllm-cost-usd'),
    inputTokens: null,
    outputTokens: null,
  }
}

function factsOfUsage(before: CallFacts, chunk: Json): CallFacts {
  const usage = asObject(chunk.usage)
  const ours = asObject(chunk.watchllm)
  return {
    ...before,
    provider: asText(ours.provider) ?? before.provider,
    model: asText(ours.model_used) ?? before.model ?? asText(chunk.model),
    route: asText(ours.routing_rule) ?? before.route,
    costUsd: asText(ours.cost_usd) ?? asText(chunk['x-WatchLLM-cost-usd']) ?? before.costUsd,
    inputTokens: asNumber(usage.prompt_tokens),
    outputTokens: asNumber(usage.completion_tokens),
  }
}

/**
 * One streamed chat completion, event by event, in the order of arrival.
 * @throws ApiError for an error answer, an error event in the stream, a cut before `[DONE]`, or no answer;
 * the signal's own error when it was aborted.
 */
export async function* streamChat(request: ChatRequest): AsyncGenerator<ChatEvent, void, undefined> {
  const response = await ask(`${request.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${request.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: request.model,
      messages: [{ role: 'user', content: request.message }],
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal: request.signal,
  })
  const { status, headers } = response
  let facts = factsOfHead(headers)
  const fail = (code: string, message: string) =>
    new ApiError({ status, code, message, requestId: facts.requestId, retryAfterSeconds: null })
  if (!headers.get('content-type')?.startsWith('text/event-stream') || response.body === null)
    throw fail('unreadable', `The server answered ${status}, but not with an event stream`)
  yield { kind: 'open', status, facts }

  const read = createSseReader()
  const bytes = response.body.getReader()
  try {
    for (;;) {
      const step = await bytes.read().catch((error: unknown) => {
        if (request.signal.aborted) throw error
        throw fail('stream_cut', 'The connection closed before the answer was complete')
      })
      if (step.done) throw fail('stream_cut', 'The stream ended before its last event')
      for (const { data } of read(step.value)) {
        if (data === '[DONE]') return
        const chunk = parse(data)
        if (chunk.error !== undefined && chunk.error !== null)
          throw new ApiError(failureOf(chunk.error, status, headers))
        const choice = Array.isArray(chunk.choices) ? asObject(chunk.choices[0]) : {}
        const text = asText(asObject(choice.delta).content)
        if (text !== null) yield { kind: 'text', text }
        if (chunk.usage !== undefined && chunk.usage !== null) {
          facts = factsOfUsage(facts, chunk)
          yield { kind: 'usage', facts }
        }
      }
    }
  } finally {
    bytes.cancel().catch(() => {})
  }
}

export interface ReceiptLine {
  readonly counter: string
  readonly tokens: number
  /** Decimal strings, null when no price is known. */
  readonly usdPerMillion: string | null
  readonly usd: string | null
}

/** The part of a receipt that the console shows; a field the server left out is null or an empty list. */
export interface Receipt {
  readonly id: string
  readonly outcome: string | null
  readonly source: string | null
  readonly usage: readonly { readonly counter: string; readonly tokens: number }[]
  readonly costUsd: string | null
  readonly priceVersion: string | null
  readonly lines: readonly ReceiptLine[]
  readonly latencyMs: number | null
  readonly overheadMs: number | null
  readonly firstByteMs: number | null
  readonly attempts: number
}

/** Reads the body of `GET /v1/requests/{id}`, tolerating absent fields. */
export function readReceipt(body: unknown): Receipt {
  const receipt = asObject(body)
  const usage = asObject(receipt.usage)
  const cost = asObject(receipt.cost)
  const lines = Array.isArray(cost.lines) ? cost.lines.map(asObject) : []
  return {
    id: asText(receipt.id) ?? '',
    outcome: asText(receipt.outcome),
    source: asText(usage.source),
    usage: Object.entries(usage).flatMap(([counter, tokens]) =>
      typeof tokens === 'number' && tokens > 0 ? [{ counter, tokens }] : [],
    ),
    costUsd: asText(cost.usd),
    priceVersion: asText(cost.price_version),
    lines: lines.map((line) => ({
      counter: asText(line.counter) ?? '',
      tokens: asNumber(line.tokens) ?? 0,
      usdPerMillion: asText(line.usd_per_million),
      usd: asText(line.usd),
    })),
    latencyMs: asNumber(receipt.latency_ms),
    overheadMs: asNumber(receipt.overhead_ms),
    firstByteMs: asNumber(receipt.first_byte_ms),
    attempts: Array.isArray(receipt.attempts) ? receipt.attempts.length : 0,
  }
}

export interface ReceiptRequest {
  readonly baseUrl: string
  readonly apiKey: string
  readonly id: string
  readonly signal: AbortSignal
  /** Waits before each further try while the receipt is not written yet (404), in milliseconds. */
  readonly retryDelaysMs?: readonly number[]
}

/**
 * The receipt of one call. A call settles just before its last byte and becomes readable a moment later, so that
 * 404 is asked again. @throws ApiError when it stays away, or for any other failure.
 */
export async function fetchReceipt(request: ReceiptRequest): Promise<Receipt> {
  const delaysMs = request.retryDelaysMs ?? [100, 250, 500, 1000, 2000]
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await ask(`${request.baseUrl}/requests/${encodeURIComponent(request.id)}`, {
        headers: { authorization: `Bearer ${request.apiKey}` },
        signal: request.signal,
      })
      return readReceipt(await response.json().catch(() => null))
    } catch (error) {
      const delayMs = delaysMs[attempt]
      if (!(error instanceof ApiError) || error.failure.status !== 404 || delayMs === undefined) throw error
      await new Promise((resume) => setTimeout(resume, delayMs))
    }
  }
}

/** The ids of the models that the key may use, in the server's order. @throws ApiError */
export async function listModels(baseUrl: string, apiKey: string): Promise<string[]> {
  const response = await ask(`${baseUrl}/models`, { headers: { authorization: `Bearer ${apiKey}` } })
  const { data } = asObject(await response.json().catch(() => null))
  if (!Array.isArray(data)) return []
  return data.flatMap((model) => asText(asObject(model).id) ?? [])
}
