import { type Json, numberOr, record, records, textOr } from '../openai-chat/values.ts'

/** Log probabilities as text completions have them: four lists side by side, one entry a token. */
export class LegacyLogprobs {
  #offset: number

  /** @param offset characters of the text before the first token */
  constructor(offset: number) {
    this.#offset = offset
  }

  /** @param logprobs as chat says them; null comes out as null. What follows counts on from here. */
  write(logprobs: unknown): Json | null {
    const tokens = records(record(logprobs).content)
    if (tokens.length === 0) return null
    const text_offset: number[] = []
    for (const { token } of tokens) {
      text_offset.push(this.#offset)
      this.#offset += textOr(token, '').length
    }
    return {
      text_offset,
      token_logprobs: tokens.map(({ logprob }) => numberOr(logprob, 0)),
      tokens: tokens.map(({ token }) => textOr(token, '')),
      top_logprobs: tokens.map(({ top_logprobs }) =>
        Object.fromEntries(
          records(top_logprobs).map(({ token, logprob }) => [textOr(token, ''), numberOr(logprob, 0)]),
        ),
      ),
    }
  }
}
