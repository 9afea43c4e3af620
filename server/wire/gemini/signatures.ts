import type { Part, Proof, ReasoningPart } from '../model.ts'

/**
 * What Google documents for calls whose signature nobody has, such as those of another provider's model: without it,
 * Gemini 3 refuses the conversation. Its base64 text, since signatures are bytes.
 */
const NO_SIGNATURE = 'c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I='

/** A proof as Gemini's provider takes it: only its own, since none can verify another's. */
export function ownSignature({ wire, data }: Proof): string | null {
  return wire === 'gemini' ? data : null
}

/** Parts of a model's content, each with the signature that was said before it. */
export class SignedParts {
  readonly #parts: object[] = []
  readonly #sign: (proof: Proof) => string | null
  #pending: string | null = null

  /** @param sign the signature for a proof; null: the thought is left out */
  constructor(sign: (proof: Proof) => string | null) {
    this.#sign = sign
  }

  think({ text, proof }: ReasoningPart): void {
    const thoughtSignature = proof === null ? null : this.#sign(proof)
    if (thoughtSignature === null && (proof !== null || text === '')) return
    this.#flush()
    if (text === '') this.#pending = thoughtSignature
    else this.#parts.push({ text, thought: true, ...(thoughtSignature === null ? {} : { thoughtSignature }) })
  }

  /** Null is a part that could not be said: its signature goes as well. */
  push(part: object | null): void {
    if (part !== null) this.#parts.push(this.#pending === null ? part : { ...part, thoughtSignature: this.#pending })
    this.#pending = null
  }

  end(): object[] {
    this.#flush()
    return this.#parts
  }

  /** A signature with nothing behind it: that of a text that was streamed before it, which comes in a part of its own. */
  #flush(): void {
    if (this.#pending !== null) this.#parts.push({ text: '', thoughtSignature: this.#pending })
    this.#pending = null
  }
}

/**
 * The same parts with a signature before the first call. Clients keep thoughts, text and calls apart, so that the
 * signature of a call may come back before the text that came before it.
 */
export function arranged(parts: readonly Part[]): readonly Part[] {
  const call = parts.findIndex(({ type }) => type === 'tool-call')
  if (call < 1 || isSignature(parts[call - 1]!)) return parts
  const signature = parts.slice(0, call).findLastIndex(isSignature)
  if (signature < 0) return parts
  return [...parts.slice(0, signature), ...parts.slice(signature + 1, call), parts[signature]!, ...parts.slice(call)]
}

function isSignature(part: Part): boolean {
  return part.type === 'reasoning' && part.text === '' && part.proof?.wire === 'gemini'
}

/** Gives the first call of a content the sign that it has no signature. */
export function signFirstCall(parts: object[]): void {
  const at = parts.findIndex((part) => 'functionCall' in part)
  const call = parts[at]
  if (call !== undefined && !('thoughtSignature' in call)) parts[at] = { ...call, thoughtSignature: NO_SIGNATURE }
}
