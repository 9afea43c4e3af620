/**
 * What one call consumed, in tokens. The counters are disjoint: no token is in two of them, so that
 * cost = sum of counter x rate. The one exception is named for what it is: `reasoning` is the part of
 * `output` that the model spent thinking, and is never priced on its own.
 */
export interface Usage {
  /** Fresh text input: neither read from nor written to the provider's prompt cache, nor audio or image. */
  readonly input: number
  readonly cacheRead: number
  /** Written to the provider's cache for 5 minutes (its default). */
  readonly cacheWrite5m: number
  /** Written to the provider's cache for 1 hour. */
  readonly cacheWrite1h: number
  /** All text output, the reasoning part included; neither audio nor image. */
  readonly output: number
  /** Part of `output`. */
  readonly reasoning: number
  readonly audioInput: number
  readonly audioOutput: number
  readonly imageInput: number
  /** Pictures that the model made. */
  readonly imageOutput: number
}

/** Where the counters come from. `estimated`: counted by us because the provider sent none. */
export type UsageSource = 'provider' | 'estimated' | 'none'

export const NO_USAGE: Usage = Object.freeze({
  input: 0,
  cacheRead: 0,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 0,
  reasoning: 0,
  audioInput: 0,
  audioOutput: 0,
  imageInput: 0,
  imageOutput: 0,
})

/** Tokens of the prompt, whatever way they are priced. */
export function inputTotal(usage: Usage): number {
  return usage.input + usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h + usage.audioInput + usage.imageInput
}

/** Tokens of the answer, whatever way they are priced. */
export function outputTotal(usage: Usage): number {
  return usage.output + usage.audioOutput + usage.imageOutput
}
