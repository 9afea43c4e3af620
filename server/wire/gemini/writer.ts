import type { Usage } from '../../../db/model/usage.ts'
import type { AnswerContext, StreamContext, StreamWriter } from '../dialect.ts'
import type { Choice, Completion, Delta, Part, Proof, StreamEvent, ToolCall } from '../model.ts'
import { Grounding, reasonOf, writeLogprobs, writePart } from './said.ts'
import { signatureOf } from './seal.ts'
import { SignedParts } from './signatures.ts'
import { writeGeminiUsage } from './usage.ts'

/** A whole answer for a caller of Gemini's API. Bodies of this wire carry no additions. */
export function writeGeminiAnswer(answer: Completion, context: AnswerContext): string {
  const { id, model, createdAtS, choices, usage } = answer
  return JSON.stringify({
    candidates: choices.map(writeChoice),
    ...(usage === null ? {} : { usageMetadata: writeGeminiUsage(usage) }),
    modelVersion: model ?? context.model,
    createTime: new Date((createdAtS ?? context.createdAtS) * 1000).toISOString(),
    responseId: id ?? context.callId,
  })
}

function writeChoice({ parts, finish, logprobs }: Choice, index: number): object {
  const signed = new SignedParts(signatureOf)
  const grounding = new Grounding()
  let before = ''
  for (const part of parts) {
    if (part.type === 'reasoning') signed.think(part)
    else signed.push(writePart(part))
    if (part.type !== 'text') continue
    for (const citation of part.citations ?? []) grounding.add(citation, before, part.text)
    before += part.text
  }
  const logprobsResult = writeLogprobs(logprobs)
  return {
    content: { parts: signed.end(), role: 'model' },
    finishReason: reasonOf(finish.reason),
    index,
    ...(grounding.metadata === null ? {} : { groundingMetadata: grounding.metadata }),
    ...(logprobsResult === null ? {} : { logprobsResult }),
  }
}

/** A stream for a caller of Gemini's API, as server-sent events. */
export function writeGeminiStream(context: StreamContext): StreamWriter {
  return new GeminiWriter(context)
}

/** One candidate of the stream. */
interface Candidate {
  readonly grounding: Grounding
  /** What has been written in parts that have ended, and in the open one. */
  before: string
  readonly pieces: string[]
  /** The signature of the part that comes next. */
  signature: string | null
  open: Part | null
  /** The proof of the thought that is open, and whether any of it has been shown. */
  proof: Proof | null
  hasThought: boolean
  /** The arguments of the call that is open: Gemini's callers get it whole. */
  readonly args: string[]
  reason: string
}

class GeminiWriter implements StreamWriter {
  readonly #context: StreamContext
  readonly #candidates = new Map<number, Candidate>()
  #tail = ''
  #usage: Usage | null = null

  constructor(context: StreamContext) {
    this.#context = context
    this.#start(null, null)
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case 'start':
        this.#start(event.id, event.model)
        return ''
      case 'part':
        return this.#part(event.choice, event.part)
      case 'delta':
        return this.#delta(event.choice, event.delta)
      case 'part-end':
        return this.#partEnd(event.choice)
      case 'finish':
        this.#of(event.choice).reason = reasonOf(event.finish.reason)
        return ''
      case 'usage':
        this.#usage = event.usage
        return ''
      default:
        return ''
    }
  }

  /** What ended each candidate, and the usage: in Gemini's last chunk they stand together. */
  finish(): string {
    if (this.#candidates.size === 0) this.#of(0)
    const candidates = Array.from(this.#candidates, ([index, { signature, reason, grounding }]) => ({
      content: {
        parts: [signature === null ? { text: '' } : { text: '', thoughtSignature: signature }],
        role: 'model',
      },
      finishReason: reason,
      index,
      ...(grounding.metadata === null ? {} : { groundingMetadata: grounding.metadata }),
    }))
    const usage = this.#usage === null ? '' : `,"usageMetadata":${JSON.stringify(writeGeminiUsage(this.#usage))}`
    return `data: {"candidates":${JSON.stringify(candidates)}${usage}${this.#tail}`
  }

  fail(face: object): string {
    return `data: ${JSON.stringify(face)}\n\n`
  }

  #start(id: string | null, model: string | null): void {
    const head = { modelVersion: model ?? this.#context.model, responseId: id ?? this.#context.callId }
    this.#tail = `,${JSON.stringify(head).slice(1)}\n\n`
  }

  #part(choice: number, part: Part): string {
    const candidate = this.#of(choice)
    candidate.open = part
    switch (part.type) {
      case 'text':
      case 'refusal':
        return part.text === '' ? '' : this.#text(choice, part.text, {})
      case 'reasoning':
        candidate.proof = part.proof
        candidate.hasThought = false
        return this.#think(choice, part.text)
      case 'tool-call':
        candidate.args.push(part.arguments)
        return ''
      default: {
        const written = writePart(part)
        return written === null ? '' : this.#frame(choice, JSON.stringify(signed(candidate, written)))
      }
    }
  }

  #delta(choice: number, delta: Delta): string {
    const candidate = this.#of(choice)
    const { open } = candidate
    if (open?.type === 'tool-call') {
      if (delta.text !== undefined) candidate.args.push(delta.text)
      return ''
    }
    if (open?.type === 'reasoning') {
      candidate.proof = delta.proof ?? candidate.proof
      return this.#think(choice, delta.text ?? '')
    }
    for (const citation of delta.citations ?? [])
      candidate.grounding.add(citation, candidate.before, candidate.pieces.join(''))
    return delta.text === undefined || delta.text === '' ? '' : this.#text(choice, delta.text, delta)
  }

  #partEnd(choice: number): string {
    const candidate = this.#of(choice)
    const { open } = candidate
    candidate.open = null
    candidate.before += candidate.pieces.splice(0).join('')
    if (open?.type === 'reasoning') return this.#prove(choice)
    if (open?.type !== 'tool-call') return ''
    const call: ToolCall = { ...open, arguments: candidate.args.splice(0).join('') }
    return this.#frame(choice, JSON.stringify(signed(candidate, writePart(call)!)))
  }

  #text(choice: number, text: string, { logprobs }: Delta): string {
    const candidate = this.#of(choice)
    candidate.pieces.push(text)
    const result = logprobs === undefined ? null : writeLogprobs(logprobs)
    const part =
      candidate.signature === null ? `{"text":${JSON.stringify(text)}}` : JSON.stringify(signed(candidate, { text }))
    return this.#frame(choice, part, result)
  }

  #think(choice: number, text: string): string {
    if (text === '') return ''
    this.#of(choice).hasThought = true
    return this.#frame(choice, `{"text":${JSON.stringify(text)},"thought":true}`)
  }

  /** The proof of a thought that has been shown belongs to it, that of any other to the next part. */
  #prove(choice: number): string {
    const { proof, hasThought } = this.#of(choice)
    if (proof === null) return ''
    const thoughtSignature = signatureOf(proof)
    if (!hasThought) return this.#sign(choice, thoughtSignature)
    return this.#frame(choice, JSON.stringify({ text: '', thought: true, thoughtSignature }))
  }

  /** Keeps a signature for the next part; one that is kept already gets a part of its own. */
  #sign(choice: number, signature: string): string {
    const candidate = this.#of(choice)
    const owed =
      candidate.signature === null ? '' : this.#frame(choice, JSON.stringify(signed(candidate, { text: '' })))
    candidate.signature = signature
    return owed
  }

  #frame(choice: number, part: string, logprobs: object | null = null): string {
    const more = logprobs === null ? '' : `,"logprobsResult":${JSON.stringify(logprobs)}`
    const content = `{"parts":[${part}],"role":"model"}`
    return `data: {"candidates":[{"content":${content},"index":${choice}${more}}]${this.#tail}`
  }

  #of(choice: number): Candidate {
    const known = this.#candidates.get(choice)
    if (known !== undefined) return known
    const candidate: Candidate = {
      grounding: new Grounding(),
      before: '',
      pieces: [],
      signature: null,
      open: null,
      proof: null,
      hasThought: false,
      args: [],
      reason: 'STOP',
    }
    this.#candidates.set(choice, candidate)
    return candidate
  }
}

/** The part with the signature that was said before it. */
function signed(candidate: Candidate, part: object): object {
  const { signature } = candidate
  candidate.signature = null
  return signature === null ? part : { ...part, thoughtSignature: signature }
}
