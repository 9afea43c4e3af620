import { NO_USAGE, type Usage } from '../../db/model/usage.ts'
import { asBuffer, fromText, toByteText } from './bytes.ts'
import type { ClientDialect, ModelFacts, ProviderDialect, StreamReader, StreamWriter } from './dialect.ts'
import { TokenEstimator } from './estimate.ts'
import { readMember } from './json.ts'
import type { Completion, Part, StreamEvent } from './model.ts'
import { estimateTokens } from './openai/usage.ts'
import { dataOf, eventOf, SseFramer, splitFrames } from './sse.ts'
import { type Additions, type Answer, AnswerError, type Ask, type Metered, type StreamTap, type Wire } from './wire.ts'

/** What an answer in another wire's words must be told, since wires know no clock and draw no ids. */
export interface About {
  /** The call's own id, `req_…`. */
  readonly callId: string
  readonly createdAtS: number
  /** The model's name as the caller is to see it when the provider gives none. */
  readonly model: string
}

/** A wire and its dialect: what callers of an endpoint speak. */
export interface Spoken {
  readonly wire: Wire
  readonly dialect: ClientDialect
}

/**
 * The wire of one call whose two ends speak differently: requests and answers go through the canonical model, and the
 * line sees a wire like any other.
 */
export function translated(client: Spoken, provider: ProviderDialect, about: About): Wire {
  const { id, face, streamForm } = client.wire
  return {
    id,
    face,
    readAsk: (body, said) => client.wire.readAsk(body, said),
    edit(ask, { model, askUsage, facts = null, promptCache = 'respect' }) {
      const prompt = client.dialect.readPrompt(ask)
      const known = askUsage ? facts : withoutOptions(facts)
      const { body, adapted } = provider.writePrompt(prompt, { model, facts: known, promptCache })
      return { body: fromText(JSON.stringify(body)), adapted }
    },
    readAnswer: (bytes, ask) =>
      new TranslatedAnswer(provider.readAnswer(parse(bytes), about.callId), { client, ask, about }),
    tap(ask) {
      const events = new TranslatedTap({ client, ask, about }, provider.readStream(about.callId))
      return streamForm === undefined ? events : streamForm.of(events)
    },
  }
}

const NO_FACTS: ModelFacts = { maxOutputTokens: null, refuses: [], thinking: null }

/** For providers that refuse to be asked for a stream's usage. */
function withoutOptions(facts: ModelFacts | null): ModelFacts {
  const { refuses, ...rest } = facts ?? NO_FACTS
  return { ...rest, refuses: [...refuses, 'stream_options'] }
}

interface Caller {
  readonly client: Spoken
  readonly ask: Ask
  readonly about: About
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(asBuffer(bytes).toString())
  } catch (error) {
    throw new AnswerError(`The answer is no JSON: ${(error as Error).message}`)
  }
}

class TranslatedAnswer implements Answer {
  readonly usage: Usage
  readonly source: 'provider' | 'estimated'
  readonly #completion: Completion
  readonly #caller: Caller

  constructor(completion: Completion, caller: Caller) {
    this.usage = completion.usage ?? estimate(caller.ask, wordsOf(completion))
    this.source = completion.usage === null ? 'estimated' : 'provider'
    this.#completion = completion
    this.#caller = caller
  }

  withAdditions(additions: Additions | null): string {
    const { client, ask, about } = this.#caller
    const answer = { ...this.#completion, usage: this.usage }
    const isEstimated = this.source === 'estimated'
    return toByteText(client.dialect.writeAnswer(answer, { ask, ...about, additions, isEstimated }))
  }
}

class TranslatedTap implements StreamTap {
  begun = false
  done = false
  failure: string | null = null
  readonly #ask: Ask
  readonly #framer = new SseFramer()
  readonly #reader: StreamReader
  readonly #writer: StreamWriter
  readonly #words = new TokenEstimator()
  /** Of each answer that isn't finished the part that is being written. */
  readonly #open = new Map<number, number | null>()
  #usage: Usage | null = null

  constructor({ client, ask, about }: Caller, reader: StreamReader) {
    this.#ask = ask
    this.#reader = reader
    this.#writer = client.dialect.writeStream({ ask, ...about })
  }

  get finished(): boolean {
    return this.done || this.#reader.finished
  }

  get written(): number {
    return this.#words.tokens
  }

  cut(): Uint8Array {
    let out = ''
    for (const [choice, index] of this.#open) {
      if (index !== null) out += this.#writer.write({ type: 'part-end', choice, index })
      out += this.#writer.write({ type: 'finish', choice, finish: { reason: 'length', stopSequence: null } })
    }
    return fromText(out)
  }

  push(chunk: Uint8Array): Uint8Array | null {
    const frames = this.#framer.push(chunk)
    return frames === null || this.#isOver ? null : this.#translate(asBuffer(frames).toString())
  }

  end(): Uint8Array | null {
    const rest = this.#framer.rest()
    let out = ''
    if (rest.length > 0 && !this.#isOver) out = this.#read(asBuffer(rest).toString())
    if (!this.#isOver) out += this.#write(this.#reader.close())
    return out === '' ? null : fromText(out)
  }

  metered(): Metered {
    if (this.#usage !== null) return { usage: this.#usage, source: 'provider' }
    return { usage: estimate(this.#ask, this.#words.tokens), source: 'estimated' }
  }

  fail(face: object): Uint8Array {
    return fromText(this.#writer.fail(face))
  }

  finish(additions: Additions | null): Uint8Array {
    const { usage, source } = this.metered()
    const told = this.#writer.write({ type: 'usage', usage, isEstimated: source === 'estimated' })
    return fromText(told + this.#writer.finish(additions))
  }

  get #isOver(): boolean {
    return this.done || this.failure !== null
  }

  #translate(text: string): Uint8Array | null {
    const out = this.#read(text)
    return out === '' ? null : fromText(out)
  }

  #read(text: string): string {
    let out = ''
    for (const frame of splitFrames(text)) {
      const data = dataOf(frame)
      if (data !== null) out += this.#write(this.#reader.read(eventOf(frame), data))
      if (this.#isOver) break
    }
    return out
  }

  #write(events: readonly StreamEvent[]): string {
    let out = ''
    for (const event of events) {
      this.#note(event)
      if (this.#isOver) break
      out += this.#writer.write(event)
    }
    return out
  }

  /** What the meter wants to know of an event. */
  #note(event: StreamEvent): void {
    if (event.type === 'part') this.#open.set(event.choice, isOpen(event.part) ? event.index : null)
    else if (event.type === 'part-end') this.#open.set(event.choice, null)
    else if (event.type === 'finish') this.#open.delete(event.choice)
    if (event.type === 'delta') this.#count(event.delta.text ?? '')
    else if (event.type === 'part') this.#countPart(event.part)
    else if (event.type === 'usage') this.#usage = event.usage
    else if (event.type === 'end') this.done = true
    else if (event.type === 'error') this.failure = `${event.error.code ?? ''} ${event.error.message}`.trim()
  }

  #countPart(part: Part): void {
    // An open thought or text without a word yet is nothing.
    if (part.type !== 'text' && part.type !== 'reasoning') this.begun = true
    for (const word of textsOf(part)) this.#count(word)
  }

  #count(text: string): void {
    if (text === '') return
    this.begun = true
    this.#words.add(fromText(text))
  }
}

/** More of it may come. */
function isOpen({ type }: Part): boolean {
  return type !== 'audio' && type !== 'opaque'
}

/** What no provider counted: the tokens of the prompt and of what came. */
function estimate(ask: Ask, output: number): Usage {
  const prompt = PROMPT_MEMBERS.map((name) => (ask.members.has(name) ? readMember(ask.body, ask.members, name) : null))
  return { ...NO_USAGE, input: estimateTokens(prompt), output }
}

/** Where the wires put what a model reads. */
const PROMPT_MEMBERS = ['messages', 'prompt', 'input', 'instructions', 'system', 'contents', 'tools', 'response_format']

function wordsOf(completion: Completion): number {
  const words = new TokenEstimator()
  for (const choice of completion.choices) {
    for (const text of choice.parts.flatMap(textsOf)) words.add(fromText(text))
  }
  return words.tokens
}

function textsOf(part: Part): string[] {
  switch (part.type) {
    case 'text':
    case 'reasoning':
    case 'refusal':
      return [part.text]
    case 'tool-call':
      return [part.name, part.arguments]
    case 'audio':
      return [part.transcript ?? '']
    default:
      return []
  }
}
