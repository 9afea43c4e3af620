import { textArgument } from '../emulation.ts'
import type { Delta, Part, StreamEvent } from '../model.ts'
import { PartialArguments } from './args.ts'
import { type Claim, claimsOf, Places } from './citations.ts'
import { type Json, record, records, text } from './json.ts'
import { type CallIds, finishOf, proofOf, proven, readCall, readLogprobs, readPart, thought } from './parts.ts'

/** A call whose arguments come leaf by leaf. */
interface OpenCall {
  readonly partial: PartialArguments
  /** The JSON so far of a tool of plain text: which text it holds is known at its end. */
  readonly held: string[] | null
}

/** One candidate of a stream: makes its parts from the pieces that come. */
export class ChoiceReader {
  readonly index: number
  readonly #ids: CallIds
  #parts = 0
  #open: 'text' | 'thought' | OpenCall | null = null
  #hasCalls = false
  #reason: string | null = null
  /** All that was written so far, and how much of it stands in parts before the open one: places are counted in it. */
  readonly #pieces: string[] = []
  #length = 0
  #before = 0
  /** Of the chunk that is being read: they go with its first text. */
  #logprobs: object | null = null
  #claims: readonly Claim[] = []
  #events: StreamEvent[] = []

  constructor(index: number, ids: CallIds) {
    this.index = index
    this.#ids = ids
  }

  /** Adds the events of one chunk's candidate. */
  read(candidate: Json, events: StreamEvent[]): void {
    this.#events = events
    if (candidate.groundingMetadata !== undefined || candidate.citationMetadata !== undefined) {
      const claims = claimsOf(candidate)
      if (claims.length > 0) this.#claims = claims
    }
    this.#logprobs = candidate.logprobsResult === undefined ? null : readLogprobs(candidate.logprobsResult)
    for (const part of records(record(candidate.content).parts)) this.#part(part)
    this.#reason = text(candidate.finishReason) ?? this.#reason
  }

  /** The prompt was blocked. */
  withhold(): void {
    this.#reason = 'SAFETY'
  }

  /** Adds what is owed at the end of the stream. */
  close(events: StreamEvent[], isFinished: boolean): void {
    this.#events = events
    if (this.#claims.length > 0 && this.#open !== 'text') this.#begin({ type: 'text', text: '' }, 'text')
    this.#end()
    if (!isFinished) return
    const reason = finishOf(this.#reason ?? 'STOP', this.#hasCalls)
    events.push({ type: 'finish', choice: this.index, finish: { reason, stopSequence: null } })
  }

  #part(part: Json): void {
    const proof = proofOf(part)
    if (typeof part.text === 'string' && (part.thought === true || proof === null)) {
      if (part.thought === true) this.#think(part)
      else if (part.text !== '') this.#write(part.text)
    } else if (part.functionCall !== undefined) {
      if (proof !== null) this.#whole(proven(proof))
      this.#call(record(part.functionCall))
    } else {
      // The proof of a text that has been streamed stands behind it, in a part of its own.
      for (const read of readPart(part, this.#ids)) {
        if (read.type === 'text') this.#write(read.text)
        else this.#whole(read)
      }
      // A signature is for its part alone: what is written after it begins another.
      if (this.#open === 'text') this.#end()
    }
  }

  #write(text: string): void {
    this.#delta(this.#logprobs === null ? { text } : { text, logprobs: this.#logprobs }, 'text')
    this.#logprobs = null
    this.#pieces.push(text)
    this.#length += text.length
  }

  #think(part: Json): void {
    const proof = proofOf(part)
    const text = String(part.text)
    if (text === '' && proof === null) return
    this.#delta({ ...(text === '' ? {} : { text }), ...(proof === null ? {} : { proof }) }, 'thought')
    if (proof !== null) this.#end()
  }

  #call(call: Json): void {
    const isNew = text(call.name) !== null || typeof this.#open !== 'object' || this.#open === null
    if (isNew && text(call.name) === null) return
    if (isNew) {
      this.#hasCalls = true
      const part = readCall({ ...call, args: null }, this.#ids)
      const open = { partial: new PartialArguments(), held: part.kind === 'custom' ? [] : null }
      this.#begin({ ...part, arguments: '' }, open)
    }
    const { partial } = this.#open as OpenCall
    for (const piece of records(call.partialArgs)) this.#argue(partial.write(piece))
    if (call.args !== undefined && call.args !== null && partial.isEmpty && call.willContinue !== true) {
      this.#argue(JSON.stringify(call.args))
      this.#endCall()
    } else if (call.willContinue !== true) this.#end()
  }

  #argue(text: string): void {
    const held = (this.#open as OpenCall).held
    if (held !== null) held.push(text)
    else if (text !== '') this.#push({ text })
  }

  /** Adds to the open part if it is of that kind, else to a new one. */
  #delta(delta: Delta, kind: 'text' | 'thought'): void {
    if (this.#open !== kind) this.#begin(kind === 'text' ? { type: 'text', text: '' } : thought('', null), kind)
    this.#push(delta)
  }

  #push(delta: Delta): void {
    this.#events.push({ type: 'delta', choice: this.index, index: this.#parts - 1, delta })
  }

  #begin(part: Part, open: 'text' | 'thought' | OpenCall): void {
    this.#end()
    if (open === 'text') this.#before = this.#length
    this.#events.push({ type: 'part', choice: this.index, index: this.#parts++, part })
    this.#open = open
  }

  /** A part that is complete as it begins. */
  #whole(part: Part): void {
    this.#end()
    this.#events.push({ type: 'part', choice: this.index, index: this.#parts++, part })
    this.#finishPart()
  }

  /** Ends the part that is open, with what it is still owed. */
  #end(): void {
    if (this.#open === null) return
    if (this.#open === 'text') this.#cite()
    else if (this.#open !== 'thought') {
      this.#argue(this.#open.partial.close())
      return this.#endCall()
    }
    this.#finishPart()
  }

  #endCall(): void {
    const { held } = this.#open as OpenCall
    if (held !== null) this.#push({ text: textArgument(held.join('')) })
    this.#finishPart()
  }

  #finishPart(): void {
    this.#open = null
    this.#events.push({ type: 'part-end', choice: this.index, index: this.#parts - 1 })
  }

  #cite(): void {
    if (this.#claims.length === 0) return
    const places = new Places(this.#pieces.join(''))
    this.#push({ citations: this.#claims.map((claim) => places.cite(claim, this.#before)) })
    this.#claims = []
  }
}
