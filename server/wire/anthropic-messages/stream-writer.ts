import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'
import type { StreamContext, StreamWriter } from '../dialect.ts'
import type { Delta, Finish, Part, Proof, ReasoningPart, StreamEvent } from '../model.ts'
import type { Additions } from '../wire.ts'
import { writeStopReason } from './finish.ts'
import { lateComment } from './late.ts'
import { writeAnthropicUsage, writeDeltaUsage } from './usage.ts'
import { ANTHROPIC, isRecord, type Json } from './values.ts'
import { stopDetails, wordsFor, writeCallHead, writeCitation, writeMessageId, writeThought } from './write-answer.ts'

const NO_THOUGHT: ReasoningPart = { type: 'reasoning', text: '', summary: false, proof: null }
/** Kinds of parts that are open until their last delta. */
type Kind = 'text' | 'thought' | 'call' | 'silent'

/**
 * Canonical events -> frames of a Messages stream. A block of text or thought begins with its first word: clients send
 * blocks back as they came, and the API refuses empty ones.
 */
export class AnthropicStreamWriter implements StreamWriter {
  readonly #context: StreamContext
  #usage: Usage = NO_USAGE
  #finish: Finish = { reason: 'stop', stopSequence: null }
  #started = false
  #blocks = 0
  /** The block that is open at the client. */
  #isOpen = false
  #kind: Kind = 'silent'
  #isRefusal = false
  #refusal = ''

  constructor(context: StreamContext) {
    this.#context = context
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case 'delta':
        return event.choice === 0 ? this.#delta(event.delta) : ''
      case 'start':
        return this.#start(event.id, event.model)
      case 'part':
        return event.choice === 0 ? this.#head() + this.#closeBlock() + this.#begin(event.part) : ''
      case 'part-end':
        return event.choice === 0 ? this.#closeBlock() : ''
      case 'finish':
        if (event.choice === 0) this.#finish = event.finish
        return ''
      case 'usage':
        this.#usage = event.usage
        return ''
      default:
        return ''
    }
  }

  finish(additions: Additions | null): string {
    const delta = {
      stop_reason: writeStopReason(this.#finish),
      stop_sequence: this.#finish.stopSequence,
      stop_details: this.#refusal === '' ? null : stopDetails(this.#refusal),
      container: null,
    }
    const last = frame('message_delta', { delta, usage: writeDeltaUsage(this.#usage) })
    return this.#head() + this.#closeBlock() + last + lateComment(additions) + frame('message_stop', {})
  }

  fail(face: object): string {
    return `event: error\ndata: ${JSON.stringify(face)}\n\n`
  }

  /** Clients need a beginning, whatever the provider gave. */
  #head(): string {
    return this.#started ? '' : this.#start(null, null)
  }

  #start(id: string | null, model: string | null): string {
    if (this.#started) return ''
    this.#started = true
    const message = {
      id: writeMessageId(id, this.#context.callId),
      type: 'message',
      role: 'assistant',
      model: model ?? this.#context.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      container: null,
      diagnostics: null,
      usage: writeAnthropicUsage(this.#usage, null),
    }
    return frame('message_start', { message })
  }

  #begin(part: Part): string {
    this.#isRefusal = part.type === 'refusal'
    switch (part.type) {
      case 'text':
        this.#kind = 'text'
        return this.#text(part.text) + this.#citations(part.citations)
      case 'reasoning':
        this.#kind = 'thought'
        return this.#text(part.text) + (part.proof === null ? '' : this.#proof(part.proof))
      case 'tool-call':
        this.#kind = 'call'
        return this.#open({ ...writeCallHead(part.id, part.name), input: {} }) + this.#text(part.arguments)
      case 'opaque':
        this.#kind = 'silent'
        return part.wire === ANTHROPIC && isRecord(part.value) ? this.#open(part.value) : ''
      default:
        this.#kind = 'text'
        return this.#text(wordsFor(part))
    }
  }

  #delta({ text, citations, proof }: Delta): string {
    if (citations === undefined && proof === undefined) return text === undefined ? '' : this.#text(text)
    const words = text === undefined ? '' : this.#text(text)
    return words + this.#citations(citations) + (proof === undefined ? '' : this.#proof(proof))
  }

  #text(text: string): string {
    if (text === '' || this.#kind === 'silent') return ''
    const words = JSON.stringify(text)
    if (this.#kind === 'call') return this.#grow(`{"type":"input_json_delta","partial_json":${words}}`)
    if (this.#kind === 'thought') {
      const head = this.#isOpen ? '' : this.#open({ type: 'thinking', thinking: '', signature: '' })
      return head + this.#grow(`{"type":"thinking_delta","thinking":${words}}`)
    }
    if (this.#isRefusal) this.#refusal += text
    return this.#openText() + this.#grow(`{"type":"text_delta","text":${words}}`)
  }

  #citations(citations: Delta['citations']): string {
    if (citations === undefined || this.#kind !== 'text') return ''
    const written = citations.flatMap(writeCitation)
    if (written.length === 0) return ''
    const deltas = written.map((one) => this.#grow(JSON.stringify({ type: 'citations_delta', citation: one })))
    return this.#openText() + deltas.join('')
  }

  /** A thought that has been seen is signed; one that hasn't is a block of its own. */
  #proof(proof: Proof): string {
    if (this.#kind !== 'thought') return ''
    const [block] = writeThought({ ...NO_THOUGHT, text: this.#isOpen ? '…' : '', proof })
    if (!this.#isOpen && block!.type === 'redacted_thinking') return this.#open(block!) + this.#closeBlock()
    const head = this.#isOpen ? '' : this.#open({ type: 'thinking', thinking: '', signature: '' })
    return head + this.#grow(JSON.stringify({ type: 'signature_delta', signature: block!.signature }))
  }

  #openText(): string {
    return this.#isOpen ? '' : this.#open({ type: 'text', text: '', citations: [] })
  }

  #open(block: Json): string {
    this.#isOpen = true
    return frame('content_block_start', { index: this.#blocks, content_block: block })
  }

  #grow(delta: string): string {
    return `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#blocks},"delta":${delta}}\n\n`
  }

  #closeBlock(): string {
    if (!this.#isOpen) return ''
    this.#isOpen = false
    const closed = frame('content_block_stop', { index: this.#blocks })
    this.#blocks++
    return closed
  }
}

function frame(type: string, members: Json): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`
}
