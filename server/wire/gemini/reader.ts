import type { StreamReader } from '../dialect.ts'
import type { StreamEvent, StreamFault } from '../model.ts'
import { AnswerError } from '../wire.ts'
import { ChoiceReader } from './choice.ts'
import { failureOf, isLast } from './chunk.ts'
import { type Json, number, record, records, text } from './json.ts'
import { CallIds, secondsOf } from './parts.ts'
import { readGeminiUsage } from './usage.ts'

/** A stream of Gemini's chunks as canonical events. @param callId makes ids for calls of tools that have none */
export function readGeminiStream(callId: string): StreamReader {
  return new GeminiReader(callId)
}

class GeminiReader implements StreamReader {
  finished = false
  readonly #ids: CallIds
  readonly #choices: ChoiceReader[] = []
  #isStarted = false
  #isFailed = false

  constructor(callId: string) {
    this.#ids = new CallIds(callId)
  }

  read(_event: string | null, data: string): StreamEvent[] {
    if (this.#isFailed) return []
    const chunk = parse(data)
    if (failureOf(chunk) !== null) {
      this.#isFailed = true
      return [{ type: 'error', error: faultOf(chunk.error) }]
    }
    const events: StreamEvent[] = this.#isStarted ? [] : [this.#start(chunk)]
    for (const candidate of records(chunk.candidates))
      this.#choiceOf(number(candidate.index) ?? 0).read(candidate, events)
    const usage = readGeminiUsage(chunk.usageMetadata)
    if (usage !== null) events.push({ type: 'usage', usage })
    this.finished ||= isLast(chunk)
    return events
  }

  /** Gemini may go on after a finish reason, and says nothing at the end: only now is known what the last words are. */
  close(): StreamEvent[] {
    const events: StreamEvent[] = []
    if (this.#isFailed || !this.#isStarted) return events
    // A prompt that was blocked has no candidates: the answer is withheld.
    if (this.finished && this.#choices.length === 0) this.#choiceOf(0).withhold()
    for (const choice of this.#choices) choice.close(events, this.finished)
    if (this.finished) events.push({ type: 'end' })
    return events
  }

  #start(chunk: Json): StreamEvent {
    this.#isStarted = true
    const { responseId, modelVersion, createTime } = chunk
    return { type: 'start', id: text(responseId), model: text(modelVersion), createdAtS: secondsOf(createTime) }
  }

  #choiceOf(index: number): ChoiceReader {
    const known = this.#choices.find((choice) => choice.index === index)
    if (known !== undefined) return known
    const choice = new ChoiceReader(index, this.#ids)
    this.#choices.push(choice)
    return choice
  }
}

function parse(data: string): Json {
  try {
    const value: unknown = JSON.parse(data)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  } catch (error) {
    throw new AnswerError(`A chunk of the stream is no JSON: ${(error as Error).message}`)
  }
  throw new AnswerError('A chunk of the stream is no JSON object')
}

function faultOf(error: unknown): StreamFault {
  const { message, status, code } = record(error)
  const known = text(status) ?? (typeof code === 'number' ? String(code) : null)
  return { message: text(message) ?? text(error) ?? 'The provider failed', code: known }
}
