import type { Chooser, RecordedRequest } from './upstream.ts'
import { json, PROVIDER_HEADERS, sse } from './upstream-answers.ts'
import type { AnswerOptions, Plan } from './upstream-plan.ts'

/** What the provider will put on its own bill: one entry an answer it sent, whoever read it to the end. */
export interface BookEntry {
  readonly id: string
  readonly path: string
  readonly promptTokens: number
  readonly completionTokens: number
}

export interface OpenaiOptions {
  /** Words of the answer; default `Hello from the provider`. */
  readonly text?: string
  /** `none`: an honest answer without usage, as small servers give it. Default: as OpenAI does. */
  readonly usage?: 'openai' | 'none'
  readonly answer?: AnswerOptions
  /** Receives an entry for each answer that is planned. */
  readonly books?: BookEntry[]
}

/**
 * A provider that speaks OpenAI's chat, completions and embeddings as their documents say: JSON or stream as asked, a
 * usage chunk only when asked, headers of its own. Token counts grow with the request, so that no two bills are alike.
 */
export function openaiProvider(options: OpenaiOptions = {}): Chooser {
  return (request, index) => {
    const ask = request.json()
    const words = (options.text ?? 'Hello from the provider').match(/\s*\S+/g) ?? []
    const promptTokens = 3 + Math.ceil(request.body.length / 4)
    const embeds = request.path.includes('/embeddings')
    const completionTokens = embeds ? 0 : words.length
    const id = `${embeds ? 'embd' : 'chatcmpl'}-${index}`
    options.books?.push({ id, path: request.path, promptTokens, completionTokens })
    const usage = options.usage === 'none' ? {} : { usage: usageOf(promptTokens, completionTokens) }
    const extra: AnswerOptions = { ...options.answer, headers: { ...PROVIDER_HEADERS, ...options.answer?.headers } }
    if (embeds) return json(embeddings(ask, usage), extra)
    const face: Face = { id, words, usage, chat: !request.path.endsWith('/v1/completions'), model: String(ask.model) }
    return ask.stream === true ? stream(face, wantsUsage(request), extra) : json(whole(face), extra)
  }
}

interface Face {
  readonly id: string
  readonly model: string
  readonly words: readonly string[]
  readonly usage: { usage?: object }
  readonly chat: boolean
}

function whole({ id, model, words, usage, chat }: Face): object {
  const text = words.join('')
  const common = { index: 0, logprobs: null, finish_reason: 'stop' }
  const choice = chat
    ? { ...common, message: { role: 'assistant', content: text, refusal: null } }
    : { ...common, text }
  const object = chat ? 'chat.completion' : 'text_completion'
  return { id, object, created: 1763690000, model, choices: [choice], ...usage, system_fingerprint: 'fp_scripted' }
}

function stream(face: Face, asked: boolean, options: AnswerOptions): Plan {
  const { id, model, words, chat } = face
  const object = chat ? 'chat.completion.chunk' : 'text_completion'
  const frame = (rest: object): string =>
    `data: ${JSON.stringify({ id, object, created: 1763690000, model, ...rest, ...(asked && !('usage' in rest) ? { usage: null } : {}) })}\n\n`
  const choice = (delta: object, text: string, finish_reason: string | null): string =>
    frame({ choices: [{ index: 0, ...(chat ? { delta } : { text }), logprobs: null, finish_reason }] })
  const frames = [
    ...(chat ? [choice({ role: 'assistant', content: '', refusal: null }, '', null)] : []),
    ...words.map((word) => choice({ content: word }, word, null)),
    choice({}, '', 'stop'),
    ...(asked && face.usage.usage !== undefined ? [frame({ choices: [], ...face.usage })] : []),
    'data: [DONE]\n\n',
  ]
  return sse(frames.join(''), options)
}

function embeddings(ask: Record<string, unknown>, usage: { usage?: object }): object {
  const input = ask.input
  const single = typeof input === 'string' || (Array.isArray(input) && typeof input[0] === 'number')
  const count = single ? 1 : Array.isArray(input) ? input.length : 0
  const dimensions = typeof ask.dimensions === 'number' ? ask.dimensions : 8
  const data = Array.from({ length: count }, (_, index) => {
    const vector = unitVector(dimensions, index)
    const embedding = ask.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector]
    return { object: 'embedding', index, embedding }
  })
  return { object: 'list', data, model: ask.model, ...usage }
}

/** A vector of length 1 that differs from one index to the next. */
function unitVector(dimensions: number, index: number): Float32Array {
  const raw = Array.from({ length: dimensions }, (_, at) => Math.sin(1 + at * (index + 1)))
  const norm = Math.hypot(...raw)
  return Float32Array.from(raw, (value) => value / norm)
}

function usageOf(prompt_tokens: number, completion_tokens: number): object {
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  }
}

function wantsUsage(request: RecordedRequest): boolean {
  const options = request.json().stream_options
  return typeof options === 'object' && options !== null && 'include_usage' in options && options.include_usage === true
}
