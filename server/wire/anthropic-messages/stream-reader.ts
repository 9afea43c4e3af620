import type { StreamReader } from '../dialect.ts'
import { ANSWER_TOOL, TEXT_TOOL } from '../emulation.ts'
import type { Delta, Part, StreamEvent } from '../model.ts'
import { openProof } from '../proof.ts'
import { AnswerError } from '../wire.ts'
import { readBlock, readCitation } from './blocks.ts'
import { readFinish } from './finish.ts'
import { plainCall, refusalOf } from './read-answer.ts'
import { mergeUsage, readAnthropicUsage } from './usage.ts'
import { ANTHROPIC, isRecord, type Json, parsed, record, records, textOr } from './values.ts'

/**
 * Events of a Messages stream -> canonical ones. Usage is passed on when it is complete: the counters of `message_start`
 * know nothing of the answer, and would be taken for all of it if the stream broke off.
 */
export class AnthropicStreamReader implements StreamReader {
  finished = false
  #started = false
  #over = false
  #usage: Json = {}
  /** The block that is open. */
  #block: OpenBlock | null = null
  #waiting: Json[] = []
  #parts = 0
  #calls = false

  read(_event: string | null, data: string): StreamEvent[] {
    const event = parsed(data)
    if (!isRecord(event)) throw new AnswerError(`An event of the stream is no JSON object: ${data.slice(0, 200)}`)
    switch (event.type) {
      case 'content_block_delta':
      case 'content_block_start':
      case 'content_block_stop':
        return this.#readBlock(event)
      case 'message_start':
        return this.#start(record(event.message))
      case 'message_delta':
        return this.#finish(event)
      case 'message_stop':
        this.finished = true
        return this.#end()
      default:
        // What is not known yet is passed over, as the API asks of its readers.
        return event.type === 'error' || isRecord(event.error) ? this.#fail(record(event.error)) : []
    }
  }

  close(): StreamEvent[] {
    const rest = this.#closeAll()
    return this.finished ? [...rest, ...this.#end()] : rest
  }

  /** One block after the other: what belongs to another than the open one waits for its end. */
  #readBlock(event: Json): StreamEvent[] {
    const isStart = event.type === 'content_block_start'
    if (this.#block !== null && (isStart || event.index !== this.#block.index)) {
      this.#waiting.push(event)
      return []
    }
    if (isStart) return this.#openBlock(event)
    return event.type === 'content_block_stop' ? this.#closeBlock() : this.#delta(event)
  }

  #end(): StreamEvent[] {
    if (this.#over) return []
    this.#over = true
    return [...this.#closeAll(), { type: 'end' }]
  }

  #fail(error: Json): StreamEvent[] {
    this.#over = true
    const message = textOr(error.message) ?? JSON.stringify(error)
    return [{ type: 'error', error: { message, code: textOr(error.type) } }]
  }

  /**
   * A provider that begins anew in the middle of its answer goes on with the same one. A turn that only resumes a program
   * of the provider's comes whole in its beginning.
   */
  #start(message: Json): StreamEvent[] {
    const { id, model, usage, content, stop_reason: reason } = message
    this.#usage = mergeUsage(this.#usage, usage)
    const events = this.#closeAll()
    if (!this.#started) events.push({ type: 'start', id: textOr(id), model: textOr(model), createdAtS: null })
    this.#started = true
    for (const block of records(content)) {
      events.push(...this.#openBlock({ content_block: block }), ...this.#closeBlock())
    }
    return typeof reason === 'string' ? [...events, ...this.#finish({ delta: message, usage })] : events
  }

  #openBlock(event: Json): StreamEvent[] {
    const given = record(event.content_block)
    const block = openBlock(given, Number(event.index))
    this.#block = block
    if (given.type === 'tool_use' && given.name !== ANSWER_TOOL) this.#calls = true
    if (block.opening === null) return []
    return [{ type: 'part', choice: 0, index: this.#parts, part: block.opening }]
  }

  #delta(event: Json): StreamEvent[] {
    const block = this.#block
    if (block === null) return this.#lateDelta(event)
    const given = record(event.delta)
    const { partial_json: json, content } = given
    if (block.opening === null) {
      if (typeof json === 'string') block.held.push(json)
      else if (typeof content === 'string') block.content += content
      return []
    }
    const delta = readDelta(given)
    if (delta === null) return []
    if (typeof json === 'string') block.written = true
    return [{ type: 'delta', choice: 0, index: this.#parts, delta }]
  }

  /** Words behind their block's end, or without its beginning: a part of their own. */
  #lateDelta(event: Json): StreamEvent[] {
    const { text, thinking } = record(event.delta)
    const type = typeof text === 'string' ? 'text' : typeof thinking === 'string' ? 'thinking' : null
    if (type === null || (text ?? thinking) === '') return []
    const open = this.#openBlock({ index: event.index, content_block: { type } })
    return [...open, ...this.#delta(event)]
  }

  #closeAll(): StreamEvent[] {
    const events = this.#closeBlock()
    while (this.#block !== null) events.push(...this.#closeBlock())
    return events
  }

  #closeBlock(): StreamEvent[] {
    const block = this.#block
    if (block === null) return []
    this.#block = null
    const events = this.#endPart(block)
    const waiting = this.#waiting
    if (waiting.length === 0) return events
    this.#waiting = []
    for (const event of waiting) events.push(...this.#readBlock(event))
    return events
  }

  #endPart(block: OpenBlock): StreamEvent[] {
    const index = this.#parts++
    const end: StreamEvent = { type: 'part-end', choice: 0, index }
    if (block.opening === null) return [{ type: 'part', choice: 0, index, part: wholePart(block) }, end]
    if (block.given.type !== 'tool_use' || block.written) return [end]
    const text = JSON.stringify(block.given.input ?? {})
    return [{ type: 'delta', choice: 0, index, delta: { text } }, end]
  }

  #finish(event: Json): StreamEvent[] {
    const { stop_reason: reason, stop_sequence: sequence, stop_details: details } = record(event.delta)
    const events = this.#closeAll()
    const explanation = refusalOf({ stop_details: details })
    if (explanation !== null) events.push(...this.#refusal(explanation))
    if (typeof reason === 'string' && !this.finished) {
      this.finished = true
      events.push({ type: 'finish', choice: 0, finish: readFinish(reason, sequence, this.#calls) })
    }
    this.#usage = mergeUsage(this.#usage, event.usage)
    const usage = readAnthropicUsage(event.usage) === null ? null : readAnthropicUsage(this.#usage)
    if (usage !== null) events.push({ type: 'usage', usage })
    return events
  }

  #refusal(text: string): StreamEvent[] {
    const index = this.#parts++
    const part: Part = { type: 'refusal', text }
    return [
      { type: 'part', choice: 0, index, part },
      { type: 'part-end', choice: 0, index },
    ]
  }
}

interface OpenBlock {
  readonly index: number
  readonly given: Json
  /** What it began as; null for a block that is told when it is whole. */
  readonly opening: Part | null
  /** Of a block that is told when it is whole: its input so far, and its text. */
  readonly held: string[]
  content: string
  /** A call's arguments have come. */
  written: boolean
}

function openBlock(given: Json, index: number): OpenBlock {
  return { index, given, opening: openingOf(given), held: [], content: textOr(given.content) ?? '', written: false }
}

function openingOf(given: Json): Part | null {
  if (given.type === 'tool_use') {
    const name = textOr(given.name) ?? ''
    if (name === ANSWER_TOOL) return { type: 'text', text: '' }
    // Its argument is inside of JSON.
    if (name.startsWith(TEXT_TOOL)) return null
    return { type: 'tool-call', id: textOr(given.id) ?? '', name, arguments: '', kind: 'function' }
  }
  const isGrowing = given.type === 'text' || given.type === 'thinking' || given.type === 'redacted_thinking'
  return isGrowing ? readBlock({ text: '', ...given }, { path: 'content_block', extras: [] }) : null
}

function wholePart({ given, held, content }: OpenBlock): Part {
  const input = held.length > 0 ? { input: parsed(held.join('')) ?? held.join('') } : {}
  const text = typeof given.content === 'string' || content !== '' ? { content } : {}
  const value = { ...given, ...input, ...text }
  if (given.type !== 'tool_use') return { type: 'opaque', wire: ANTHROPIC, value }
  return plainCall(readBlock({ id: '', name: '', ...value }, { path: 'content_block', extras: [] }))
}

function readDelta(delta: Json): Delta | null {
  const { text, thinking, signature, citation, partial_json: json } = delta
  const written = text ?? thinking ?? json
  if (typeof written === 'string') return written === '' ? null : { text: written }
  if (typeof signature === 'string') return signature === '' ? null : { proof: openProof(signature, ANTHROPIC) }
  return isRecord(citation) ? { citations: [readCitation(citation, null)] } : null
}
