import type { StreamReader } from '../dialect.ts'
import type { StreamEvent } from '../model.ts'
import { choicesOf, usageOf } from '../openai/chunk.ts'
import { AnswerError } from '../wire.ts'
import { ChoiceReader } from './choice.ts'
import { type Template, templateOf, textIn } from './template.ts'
import { isRecord, type Json, numberOr, record, textOr } from './values.ts'

const MAX_MESSAGE = 1000

/** Chunks of OpenAI's chat, and of those who copy it, as canonical events. */
export class ChatReader implements StreamReader {
  readonly #callId: string
  readonly #choices = new Map<number, ChoiceReader>()
  #events: StreamEvent[] = []
  #isStarted = false
  #isDone = false
  #hasFailed = false
  #model = ''
  /** What stands around a piece of text, and the choice that it goes to. */
  #template: Template | null = null
  #textOf = 0

  constructor(callId: string) {
    this.#callId = callId
  }

  get finished(): boolean {
    if (this.#hasFailed) return false
    return this.#isDone || (this.#choices.size > 0 && [...this.#choices.values()].every(({ hasReason }) => hasReason))
  }

  read(event: string | null, data: string): StreamEvent[] {
    if (this.#isDone || this.#hasFailed || data === '') return []
    const known = this.#template === null ? null : textIn(data, this.#template)
    if (known !== null && !known.includes('\\')) {
      this.#choice(this.#textOf).readText(known)
      return this.#take()
    }
    if (data.startsWith('[DONE]')) return this.#end()
    const chunk = parse(data)
    const fault = faultOf(event, chunk)
    if (fault !== null) {
      this.#hasFailed = true
      this.#events.push({ type: 'error', error: fault })
      return this.#take()
    }
    // Azure's filter speaks before the model does, in a chunk that names nothing.
    const isNameless = !chunk.id && !chunk.model && choicesOf(chunk).length === 0
    if (!this.#isStarted && isNameless) return []
    if (!this.#isStarted) this.#start(chunk)
    for (const value of choicesOf(chunk)) {
      const choice = record(value)
      this.#choice(numberOr(choice.index, 0)).read(choice)
    }
    const text = textChoice(chunk)
    if (text !== null) {
      this.#template = templateOf(data, '"content":"')
      this.#textOf = text
    }
    const usage = usageOf(chunk)
    if (usage !== null) this.#events.push({ type: 'usage', usage })
    return this.#take()
  }

  close(): StreamEvent[] {
    if (this.#isDone || this.#hasFailed) return []
    if (this.finished) return this.#end()
    for (const choice of this.#choices.values()) choice.closeParts()
    return this.#take()
  }

  #start({ id, model, created }: Json): void {
    this.#isStarted = true
    this.#model = textOr(model, '')
    this.#events.push({
      type: 'start',
      id: textOr(id, '') || null,
      model: this.#model || null,
      createdAtS: numberOr(created, null),
    })
  }

  #choice(index: number): ChoiceReader {
    const known = this.#choices.get(index)
    if (known !== undefined) return known
    const made = new ChoiceReader(index, {
      callId: `${this.#callId}_${index}`,
      model: this.#model,
      emit: (event) => this.#events.push(event),
    })
    this.#choices.set(index, made)
    return made
  }

  /** Reasons wait for the terminator: some providers go on after they have given one. */
  #end(): StreamEvent[] {
    this.#isDone = true
    if (!this.#isStarted) this.#start({})
    for (const choice of this.#choices.values()) choice.finish()
    this.#events.push({ type: 'end' })
    return this.#take()
  }

  #take(): StreamEvent[] {
    const events = this.#events
    this.#events = []
    return events
  }
}

/** The choice of a chunk that brings nothing but a piece of text; null for any other. */
function textChoice({ choices, usage, x_groq }: Json): number | null {
  if (!Array.isArray(choices) || choices.length !== 1 || usage || x_groq) return null
  const { index, delta, finish_reason, logprobs, usage: inChoice } = record(choices[0])
  if (finish_reason || logprobs || inChoice || typeof record(delta).content !== 'string') return null
  const isText = Object.entries(record(delta)).every(([name, value]) => name === 'content' || value === null)
  return isText ? numberOr(index, 0) : null
}

function parse(data: string): Json {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch (error) {
    throw new AnswerError(`A chunk of the stream is no JSON: ${(error as Error).message}`)
  }
  if (isRecord(value)) return value
  throw new AnswerError(`A chunk of the stream is no object: ${data.slice(0, 100)}`)
}

/** An error in the chunk itself, in its only choice (OpenRouter), or said by the event's name or object (vLLM). */
function faultOf(event: string | null, chunk: Json): { message: string; code: string | null } | null {
  const said = chunk.error
  const isBare = event === 'error' || chunk.object === 'error'
  if (!isBare && !isRecord(said) && (typeof said !== 'string' || said === '')) return null
  const error = isRecord(said) ? said : chunk
  const code = [error.code, error.type].find((word) => typeof word === 'string' || typeof word === 'number')
  const message = textOr(error.message, '') || (typeof said === 'string' && said !== '' ? said : JSON.stringify(error))
  return { message: message.slice(0, MAX_MESSAGE), code: code === undefined ? null : String(code) }
}
