import type { Usage } from '../../../db/model/usage.ts'
import type { StreamContext, StreamWriter } from '../dialect.ts'
import type { Delta, Part, ReasoningPart, StreamEvent } from '../model.ts'
import { additionsOf, markedUsage } from '../openai/additions.ts'
import { writeOpenaiUsage } from '../openai/usage.ts'
import type { Additions } from '../wire.ts'
import { answerId, isLegacy } from './answer.ts'
import { writeFinish } from './finish.ts'
import { writeAnnotations, writeAudio } from './parts.ts'
import { detailDelta, readProof, writeDetails } from './thoughts.ts'

/**
 * Canonical events as OpenAI's chunks: the role in a choice's first delta, a finish reason member on every choice, a
 * number on every call of a tool.
 */
export class ChatWriter implements StreamWriter {
  readonly #context: StreamContext
  readonly #choices = new Map<number, ChoiceWriter>()
  #head = ''
  #usage: Usage | null = null
  #isEstimated = false

  constructor(context: StreamContext) {
    this.#context = context
    this.#begin(null, null, null)
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case 'start':
        this.#begin(event.id, event.model, event.createdAtS)
        return ''
      case 'part':
        return this.#choice(event.choice).begin(event.part)
      case 'delta':
        return this.#choice(event.choice).add(event.delta)
      case 'part-end':
        return this.#choice(event.choice).end()
      case 'finish':
        return this.#choice(event.choice).finish(event)
      case 'usage':
        this.#usage = event.usage
        this.#isEstimated = event.isEstimated === true
        return ''
      default:
        return ''
    }
  }

  finish(additions: Additions | null): string {
    const done = 'data: [DONE]\n\n'
    if (this.#context.ask.wantsUsage && this.#usage !== null) {
      const usage = markedUsage(writeOpenaiUsage(this.#usage), { additions, isEstimated: this.#isEstimated })
      const late = additions === null ? '' : `,${JSON.stringify(additionsOf(additions)).slice(1, -1)}`
      return `${this.#head}"choices":[],"usage":${JSON.stringify(usage)}${late}}\n\n${done}`
    }
    return additions === null ? done : `: watchllm ${JSON.stringify(additionsOf(additions))}\n\n${done}`
  }

  fail(face: object): string {
    return `data: ${JSON.stringify(face)}\n\n`
  }

  #begin(id: string | null, model: string | null, createdAtS: number | null): void {
    const context = this.#context
    const head = JSON.stringify({
      id: id ?? answerId(context.callId),
      object: 'chat.completion.chunk',
      created: createdAtS ?? context.createdAtS,
      model: model ?? context.model,
    })
    this.#head = `data: ${head.slice(0, -1)},`
  }

  #choice(index: number): ChoiceWriter {
    const known = this.#choices.get(index)
    if (known !== undefined) return known
    const made = new ChoiceWriter(`${this.#head}"choices":[{"index":${index},"delta":`, { ...this.#context, index })
    this.#choices.set(index, made)
    return made
  }
}

class ChoiceWriter {
  readonly #head: string
  readonly #context: StreamContext & { readonly index: number }
  readonly #isLegacy: boolean
  #hasBegun = false
  #open: Part | null = null
  /** The part that is open has had text. */
  #hasText = false
  #calls = 0
  #thoughts = 0
  #hasRefusal = false
  /** UTF-16 units of text in the parts before, from which citations count. */
  #textBefore = 0
  #textHere = 0
  /** A thought without text, until it is known which call it belongs to. */
  #held: ReasoningPart[] = []

  constructor(head: string, context: StreamContext & { readonly index: number }) {
    this.#head = head
    this.#context = context
    this.#isLegacy = isLegacy(context.ask)
  }

  begin(part: Part): string {
    const first = this.#role(part.type === 'text' ? '""' : 'null')
    const held = this.#release(part.type === 'tool-call' ? part.id : null)
    this.#open = part
    this.#hasText = false
    return first + held + this.#opening(part)
  }

  add({ text, citations, proof, logprobs }: Delta): string {
    const part = this.#open
    if (part === null) return ''
    if (proof !== undefined && part.type === 'reasoning') this.#open = { ...part, proof }
    let frames = ''
    if (text !== undefined && text !== '') frames = this.#text(part, text, logprobs ?? null)
    else if (logprobs) frames = this.#frame('{}', { logprobs })
    if (citations !== undefined) frames += this.#citations(citations)
    return frames
  }

  end(): string {
    const part = this.#open
    this.#open = null
    if (part === null) return ''
    if (part.type === 'text') {
      this.#textBefore += this.#textHere
      this.#textHere = 0
    }
    if (part.type === 'tool-call' && part.kind === 'function' && !this.#hasText) return this.#arguments(part, '{}')
    return part.type === 'reasoning' ? this.#endThought(part) : ''
  }

  finish({ finish }: StreamEvent & { type: 'finish' }): string {
    const first = this.#role('""')
    const held = this.#release(null)
    const reason = writeFinish(finish, this.#hasRefusal)
    const word = reason === 'tool_calls' && this.#isLegacy ? 'function_call' : reason
    return `${first}${held}${this.#head}{},"logprobs":null,"finish_reason":"${word}"}]}\n\n`
  }

  #frame(delta: string, { logprobs }: { logprobs: unknown } = { logprobs: null }): string {
    const written =
      logprobs === null ? 'null' : JSON.stringify({ content: null, refusal: null, ...(logprobs as object) })
    return `${this.#head}${delta},"logprobs":${written},"finish_reason":null}]}\n\n`
  }

  #role(content: string): string {
    if (this.#hasBegun) return ''
    this.#hasBegun = true
    return this.#frame(`{"role":"assistant","content":${content},"refusal":null}`)
  }

  #opening(part: Part): string {
    switch (part.type) {
      case 'text':
        return this.add({ text: part.text, ...(part.citations === undefined ? {} : { citations: part.citations }) })
      case 'reasoning':
      case 'refusal':
        if (part.type === 'refusal') this.#hasRefusal = true
        return part.text === '' ? '' : this.add({ text: part.text })
      case 'tool-call':
        return this.#openCall(part)
      case 'audio': {
        const id = `audio_${this.#context.callId}_${this.#context.index}`
        const audio = writeAudio(part, { id, createdAtS: this.#context.createdAtS })
        return this.#frame(`{"audio":${JSON.stringify(audio)}}`)
      }
      case 'image': {
        const { source } = part
        if (source.kind === 'id') return ''
        const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
        return this.#frame(`{"images":${JSON.stringify([{ type: 'image_url', image_url: { url } }])}}`)
      }
      default:
        return ''
    }
  }

  #openCall({ id, name, arguments: text, kind }: Part & { type: 'tool-call' }): string {
    const index = this.#calls
    this.#calls += 1
    this.#hasText = text !== ''
    if (this.#isLegacy) return this.#legacy({ name, arguments: text })
    const body = kind === 'custom' ? { name, input: text } : { name, arguments: text }
    return this.#frame(`{"tool_calls":[${JSON.stringify({ index, id, type: kind, [kind]: body })}]}`)
  }

  #text(part: Part, text: string, logprobs: unknown): string {
    const written = JSON.stringify(text)
    this.#hasText = true
    switch (part.type) {
      case 'text':
        this.#textHere += text.length
        return this.#frame(`{"content":${written}}`, { logprobs })
      case 'refusal':
        return this.#frame(`{"refusal":${written}}`, { logprobs })
      case 'tool-call':
        return this.#arguments(part, text)
      case 'reasoning': {
        const detail = detailDelta(written, { summary: part.summary, index: this.#thoughts })
        return this.#frame(`{"reasoning_content":${written},"reasoning_details":[${detail}]}`)
      }
      default:
        return ''
    }
  }

  #arguments({ kind }: Part & { type: 'tool-call' }, text: string): string {
    if (this.#isLegacy) return this.#legacy({ arguments: text })
    const written = JSON.stringify(text)
    const body = kind === 'custom' ? `"custom":{"input":${written}}` : `"function":{"arguments":${written}}`
    return this.#frame(`{"tool_calls":[{"index":${this.#calls - 1},${body}}]}`)
  }

  /** Before there were tools an answer called one function. */
  #legacy(call: object): string {
    return this.#calls > 1 ? '' : this.#frame(`{"function_call":${JSON.stringify(call)}}`)
  }

  #citations(citations: NonNullable<Delta['citations']>): string {
    const annotations = writeAnnotations(citations, this.#textBefore)
    return annotations.length === 0 ? '' : this.#frame(`{"annotations":${JSON.stringify(annotations)}}`)
  }

  #endThought(part: ReasoningPart): string {
    if (!this.#hasText) {
      if (part.proof !== null) this.#held.push(part)
      return ''
    }
    const index = this.#thoughts
    this.#thoughts += 1
    const own = readProof(part)
    if (part.proof === null || (own !== null && own.detail === undefined)) return ''
    // The text has gone before; a summary's proof is a detail of its own, that bears the summary's id.
    const bare = { ...part, text: part.summary || own !== null ? '' : ' ' }
    const [detail] = writeDetails(bare, { index, callId: null })
    if (own !== null) return this.#details([detail!])
    return this.#details([part.summary ? { ...detail, id: `rs_${index}` } : { ...detail, text: '' }])
  }

  #release(callId: string | null): string {
    if (this.#held.length === 0) return ''
    const held = this.#held
    this.#held = []
    return held
      .map((part) => {
        const details = writeDetails(part, { index: this.#thoughts, callId })
        this.#thoughts += 1
        return this.#details(details)
      })
      .join('')
  }

  #details(details: readonly object[]): string {
    return this.#frame(`{"reasoning_details":${JSON.stringify(details)}}`)
  }
}
