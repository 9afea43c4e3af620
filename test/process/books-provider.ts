import type { Chooser, RecordedRequest } from '../helpers/upstream.ts'
import { json, openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { type Gate, gate, type Plan } from '../helpers/upstream-plan.ts'
import type { Counts, Wanted } from './books-plan.ts'

/**
 * What a provider puts on its bill for one request that it answered. `text`: it didn't come to tell the usage, so that
 * only the words that left it can be charged, and the prompt as it was told by then, or by what it looks like.
 */
export type Bill =
  | { readonly is: 'counted'; readonly counts: Counts }
  | { readonly is: 'text'; readonly words: number; readonly prompt: Counts | { readonly messages: unknown } }

export interface BookedProvider {
  readonly choose: Chooser
  /** By the number that a call's prompt names. What failed and produced nothing isn't in it. */
  readonly bills: ReadonlyMap<number, readonly Bill[]>
  /** Requests that came, by how they were to end. */
  readonly asked: ReadonlyMap<string, number>
}

/** Speaks OpenAI's chat and embeddings and Anthropic's Messages, and does to each call what its plan says. */
export function bookedProvider(plans: ReadonlyMap<number, Wanted>): BookedProvider {
  const bills = new Map<number, Bill[]>()
  const asked = new Map<string, number>()
  const parts = new Map<number, FailingParts>()
  const book = (number: number, bill: Bill): void => {
    bills.set(number, [...(bills.get(number) ?? []), bill])
  }

  function choose(request: RecordedRequest): Plan {
    const number = Number(/#(\d+)#/.exec(Buffer.from(request.body).toString())?.[1])
    const wanted = plans.get(number)
    if (wanted === undefined) throw new Error(`Nobody planned the call ${number}`)
    asked.set(wanted.ending, (asked.get(wanted.ending) ?? 0) + 1)
    if (wanted.ending === 'provider-4xx') return openaiFailure(400)
    if (wanted.ending === 'provider-5xx') return openaiFailure(500)
    if (wanted.ending === 'cut-before')
      return json('{"id":"never', { cut: { at: wanted.words % 2 === 0 ? 'start' : 4 } })
    // Answered never: its caller goes away, and so does the gateway.
    if (wanted.ending === 'gone-before') return json({}, NEVER())
    if (wanted.kind === 'embeddings') return embeddings(request, number, wanted)
    const { counts, words } = wanted
    const ask = request.json()
    const isMessages = request.path.endsWith('/messages')
    const shape = isMessages ? messages(wanted) : chat(wanted, ask)
    const prompt = isMessages ? counts : { messages: ask.messages }
    const whole: Bill = wanted.tells ? { is: 'counted', counts } : { is: 'text', words, prompt }
    if (!wanted.stream) {
      book(number, whole)
      return json(shape.whole)
    }
    if (wanted.ending === 'cut' || wanted.ending === 'abort') {
      const sent = Math.max(1, Math.floor(words / 2))
      book(number, { is: 'text', words: sent, prompt })
      const body = [shape.head, ...shape.words.slice(0, sent)].join('')
      if (wanted.ending === 'cut') return sse(body + shape.words.slice(sent).join(''), { cut: { at: body.length } })
      return sse(body + shape.words.slice(sent).join(''), { stall: { at: body.length, gate: gate() } })
    }
    book(number, whole)
    return sse([shape.head, ...shape.words, shape.tail].join(''), { split: [wanted.words * 7, wanted.words * 91] })
  }

  /** A part is counted by its inputs: each costs what the call says one costs. */
  function embeddings(request: RecordedRequest, number: number, wanted: Wanted): Plan {
    const { input } = request.json() as { input: readonly string[] }
    const data = input.map((_, index) => ({ object: 'embedding', index, embedding: [0.6, 0.8] }))
    const fresh = input.length * wanted.counts.fresh
    const usage = { prompt_tokens: fresh, total_tokens: fresh }
    const answered = (): Plan => {
      book(number, { is: 'counted', counts: { ...NOTHING, fresh } })
      return json({ object: 'list', data, model: wanted.model, usage })
    }
    if (wanted.ending !== 'part-fails') return answered()
    const failing = parts.get(number) ?? new FailingParts()
    parts.set(number, failing)
    const at = Math.floor(Number(/ input (\d+)/.exec(input[0]!)![1]) / INPUTS_A_PART)
    failing.come(at)
    if (at < 3) return answered()
    return at === 3 ? openaiFailure(500, { stall: { at: 'start', gate: failing.others } }) : json({}, NEVER())
  }

  return { choose, bills, asked }
}

const NOTHING: Counts = { fresh: 0, read: 0, write5m: 0, write1h: 0, out: 0 }

/** Of embeddings, as many as the provider takes at a time. */
export const INPUTS_A_PART = 10
const NEVER = () => ({ stall: { at: 'start', gate: gate() } }) as const

/**
 * Of seven parts, four of which are on their way at a time, the fourth fails when the last three have come: then the
 * answers of the first three have been read, since nobody would have been asked for more before. So it is known to the
 * token what the call has used, however often the fourth is tried.
 */
class FailingParts {
  readonly others: Gate = gate()
  readonly #came = new Set<number>()

  come(at: number): void {
    this.#came.add(at)
    if (this.#came.size === 7) this.others.open()
  }
}

interface Shape {
  readonly whole: object
  readonly head: string
  /** One word each, and six to ten letters. */
  readonly words: readonly string[]
  readonly tail: string
}

function chat({ counts, words, tells, model, provider }: Wanted, ask: Readonly<Record<string, unknown>>): Shape {
  const { fresh, read, out } = counts
  const usage = {
    prompt_tokens: fresh + read,
    completion_tokens: out,
    total_tokens: fresh + read + out,
    prompt_tokens_details: { cached_tokens: read, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: Math.floor(out / 3), audio_tokens: 0 },
  }
  const said = tells ? { usage } : {}
  const head = { id: 'chatcmpl-books', created: 1_763_690_000, model }
  const chunk = (rest: object): string =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...rest })}\n\n`
  const frame = (delta: object, finish_reason: string | null = null, more: object = {}): string =>
    chunk({ choices: [{ index: 0, delta, logprobs: null, finish_reason }], ...more })
  const message = { role: 'assistant', content: WORD.repeat(words), refusal: null }
  const wantsUsage = tells && (ask.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true
  const last = wantsUsage ? chunk({ choices: [], usage }) : ''
  // It says so unasked, and can't be asked.
  const unasked = tells && provider === 'mistral' ? { usage } : {}
  return {
    whole: {
      ...{ ...head, object: 'chat.completion', ...said },
      choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    },
    head: frame({ role: 'assistant', content: '', refusal: null }),
    words: Array.from({ length: words }, () => frame({ content: WORD })),
    tail: `${frame({}, 'stop', unasked)}${last}data: [DONE]\n\n`,
  }
}

/** One token by any count, ours too: a space and five letters. */
export const WORD = ' alpha'

function messages({ counts, words, model }: Wanted): Shape {
  const { fresh, read, write5m, write1h, out } = counts
  const usage = {
    input_tokens: fresh,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: write5m + write1h,
    cache_creation: { ephemeral_5m_input_tokens: write5m, ephemeral_1h_input_tokens: write1h },
  }
  const message = { id: 'msg_books', type: 'message', role: 'assistant', model }
  const event = (type: string, rest: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
  const delta = event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: WORD } })
  const start = {
    ...message,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usage, output_tokens: 1 },
  }
  const whole = {
    ...{ ...message, content: [{ type: 'text', text: WORD.repeat(words) }] },
    ...{ stop_reason: 'end_turn', stop_sequence: null, usage: { ...usage, output_tokens: out } },
  }
  return {
    whole,
    head:
      event('message_start', { message: start }) +
      event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    words: Array.from({ length: words }, () => delta),
    tail:
      event('content_block_stop', { index: 0 }) +
      event('message_delta', {
        ...{ delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: out } },
      }) +
      event('message_stop', {}),
  }
}
