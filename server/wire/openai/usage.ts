import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'
import { fromText } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { isBelievable, tokenCount } from '../token-count.ts'

function group(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/**
 * OpenAI's usage object, with the dialects of those who copy it, as disjoint counters; null when it says nothing, or
 * nothing that can be true. There `prompt_tokens` includes what was cached, written and heard; here each token is
 * counted once.
 */
export function readOpenaiUsage(value: unknown): Usage | null {
  if (typeof value !== 'object' || value === null) return null
  const usage = value as Record<string, unknown>
  if (typeof usage.prompt_tokens !== 'number' && typeof usage.total_tokens !== 'number') return null
  const { prompt_tokens, completion_tokens, total_tokens } = usage
  if (!(isBelievable(prompt_tokens) && isBelievable(completion_tokens) && isBelievable(total_tokens))) return null
  const prompt = group(usage.prompt_tokens_details)
  const completion = group(usage.completion_tokens_details)
  const whole = tokenCount(total_tokens)
  const said = tokenCount(completion_tokens)
  // Voyage says nothing but the total.
  const total = typeof prompt_tokens === 'number' ? tokenCount(prompt_tokens) : Math.max(0, whole - said)
  const cacheRead = Math.min(total, cacheHits(usage, prompt))
  const cacheWrite5m = Math.min(total - cacheRead, tokenCount(prompt.cache_write_tokens))
  const audioInput = Math.min(total - cacheRead - cacheWrite5m, tokenCount(prompt.audio_tokens))
  const imageInput = Math.min(total - cacheRead - cacheWrite5m - audioInput, tokenCount(prompt.image_tokens))
  const reasoning = tokenCount(completion.reasoning_tokens)
  // xAI counts reasoning beside the completion, everybody else inside; only the total tells. In Gemini's OpenAI dialect
  // thinking appears in the total alone.
  const more = Math.max(0, whole - total - said)
  const isBeside = more === reasoning || typeof completion.reasoning_tokens !== 'number'
  const all = isBeside ? said + more : said
  const audioOutput = Math.min(all, tokenCount(completion.audio_tokens))
  const imageOutput = Math.min(all - audioOutput, tokenCount(completion.image_tokens))
  const output = all - audioOutput - imageOutput
  return {
    input: total - cacheRead - cacheWrite5m - audioInput - imageInput,
    cacheRead,
    cacheWrite5m,
    cacheWrite1h: 0,
    output,
    reasoning: Math.min(isBeside ? Math.max(reasoning, more) : reasoning, output),
    audioInput,
    audioOutput,
    imageInput,
    imageOutput,
  }
}

/** Inside the details with OpenAI and most others; DeepSeek, Mistral and Moonshot name it beside the total. */
function cacheHits(usage: Readonly<Record<string, unknown>>, details: Readonly<Record<string, unknown>>): number {
  return (
    tokenCount(details.cached_tokens) ||
    tokenCount(usage.prompt_cache_hit_tokens) ||
    tokenCount(usage.num_cached_tokens) ||
    tokenCount(usage.cached_tokens)
  )
}

/** The usage object that a caller of OpenAI's API expects, made from ours. */
export function writeOpenaiUsage(usage: Usage): Record<string, unknown> {
  const prompt =
    usage.input + usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h + usage.audioInput + usage.imageInput
  const completion = usage.output + usage.audioOutput + usage.imageOutput
  const written = usage.cacheWrite5m + usage.cacheWrite1h
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: usage.cacheRead,
      audio_tokens: usage.audioInput,
      ...(written === 0 ? {} : { cache_write_tokens: written }),
      ...(usage.imageInput === 0 ? {} : { image_tokens: usage.imageInput }),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: usage.audioOutput,
      ...(usage.imageOutput === 0 ? {} : { image_tokens: usage.imageOutput }),
    },
  }
}

/** What OpenAI's chat format adds around each message. */
const TOKENS_A_MESSAGE = 4
/** A low-detail image, the smallest that is charged. */
const TOKENS_AN_IMAGE = 85

/** Tokens of a prompt that no provider counted: every string in it, pictures and sound at a flat rate. */
export function estimateTokens(value: unknown): number {
  const estimator = new TokenEstimator()
  let flat = 0
  const rest: unknown[] = [value]
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next === 'string') {
      estimator.add(fromText(next))
      estimator.endText()
    } else if (typeof next === 'number') flat += 1
    else if (Array.isArray(next)) for (const item of next) rest.push(item)
    else if (typeof next === 'object' && next !== null) {
      for (const [key, item] of Object.entries(next)) {
        if (key === 'image_url' || key === 'input_audio' || key === 'file') flat += TOKENS_AN_IMAGE
        else if (key === 'role') flat += TOKENS_A_MESSAGE
        else if (key !== 'type' && key !== 'id') rest.push(item)
      }
    }
  }
  return flat + estimator.tokens
}

export function estimated(input: number, output: number): Usage {
  return { ...NO_USAGE, input, output }
}
