import { checkSampling, type Json, readFlag, readNumber, readStop, wantsUsage, wrongType } from './check.ts'
import { logprobOf, topLogprobs } from './logprobs.ts'
import { sandboxModel } from './model.ts'
import { Dice } from './random.ts'
import { jsonReply, Refusal, type Reply, streamReply } from './reply.ts'
import { cutText } from './text.ts'
import { countTokens, splitTokens } from './tokens.ts'
import { sentence } from './words.ts'

/** OpenAI's default: a legacy answer is short unless asked otherwise. */
const DEFAULT_MAX_TOKENS = 16

/** All choices together, echoes included: a request must not be able to ask for gigabytes. */
const MOST_TOKENS = 262_144

interface TextPrompt {
  readonly text: string
  readonly tokens: number
}

interface TextChoice {
  readonly echoed: readonly string[]
  readonly tokens: readonly string[]
  readonly finish: 'stop' | 'length'
}

/** One request of the legacy `/completions`. @throws Refusal as OpenAI would. @param created Unix seconds. */
export function answerCompletions(body: Json, seed: number, created: number): Reply {
  const name = String(body.model)
  const model = sandboxModel(name)
  checkSampling(body)
  const prompts = readPrompts(body)
  const count = readNumber(body, 'n', { low: 1, high: 128, whole: true }) ?? 1
  const limit = readNumber(body, 'max_tokens', { low: 0, whole: true }) ?? DEFAULT_MAX_TOKENS
  const logprobs = readNumber(body, 'logprobs', { low: 0, high: 5, whole: true })
  const stops = readStop(body)
  const echo = readFlag(body, 'echo')
  const promptTokens = prompts.reduce((sum, prompt) => sum + prompt.tokens, 0)
  const longest = Math.max(...prompts.map((prompt) => prompt.tokens))
  if (longest + limit > model.contextLength) {
    throw new Refusal(
      `This model's maximum context length is ${model.contextLength} tokens, however you requested ${longest + limit} ` +
        `tokens (${longest} in your prompt; ${limit} for the completion). Please reduce your prompt; or completion length.`,
      null,
      'context_length_exceeded',
    )
  }
  if (prompts.length * count * limit + (echo ? promptTokens * count : 0) > MOST_TOKENS) {
    throw new Refusal(`The sandbox writes at most ${MOST_TOKENS} tokens in one answer.`, 'n', null)
  }
  const choices = prompts.flatMap((prompt, at) =>
    Array.from({ length: count }, (_, i): TextChoice => {
      const text = model.behaviour === 'echo' ? prompt.text : write(prompt.text, new Dice(seed + at * count + i + 1))
      return { echoed: echo ? splitTokens(prompt.text) : [], ...cutText(text, stops, limit) }
    }),
  )
  const id = `cmpl-${new Dice(seed).id(29)}`
  const head = { id, object: 'text_completion', created, model: name, system_fingerprint: 'fp_sandbox01' }
  const completionTokens = choices.reduce((sum, choice) => sum + choice.tokens.length, 0)
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
  if (readFlag(body, 'stream')) {
    return streamReply(events(head, choices, logprobs, wantsUsage(body) ? usage : null), seed)
  }
  const written = choices.map(({ echoed, tokens, finish }, index) => {
    const all = [...echoed, ...tokens]
    return { text: all.join(''), index, logprobs: logprobsOf(all, logprobs, 0), finish_reason: finish }
  })
  return jsonReply(200, { ...head, choices: written, usage }, seed)
}

function write(prompt: string, dice: Dice): string {
  const quoted = prompt.trim().slice(-60).replaceAll(/\s+/g, ' ')
  return ` This is the WatchLLM sandbox, which goes on from “${quoted}”. ${sentence(dice)} ${sentence(dice)}`
}

function* events(
  head: object,
  choices: readonly TextChoice[],
  top: number | null,
  usage: object | null,
): Generator<object> {
  const noUsage = usage === null ? {} : { usage: null }
  for (const [index, { echoed, tokens, finish }] of choices.entries()) {
    let offset = 0
    for (const token of [...echoed, ...tokens]) {
      const choice = { text: token, index, logprobs: logprobsOf([token], top, offset), finish_reason: null }
      offset += token.length
      yield { ...head, choices: [choice], ...noUsage }
    }
    yield { ...head, choices: [{ text: '', index, logprobs: null, finish_reason: finish }], ...noUsage }
  }
  if (usage !== null) yield { ...head, choices: [], usage }
}

function logprobsOf(tokens: readonly string[], top: number | null, start: number): object | null {
  if (top === null) return null
  let offset = start
  return {
    tokens,
    token_logprobs: tokens.map(logprobOf),
    top_logprobs: tokens.map((token) =>
      Object.fromEntries(topLogprobs(token, top).map((entry) => [entry.token, entry.logprob])),
    ),
    text_offset: tokens.map((token) => {
      const at = offset
      offset += token.length
      return at
    }),
  }
}

function readPrompts(body: Json): TextPrompt[] {
  const { prompt } = body
  if (prompt === undefined || prompt === null) return [{ text: '', tokens: 1 }]
  if (typeof prompt === 'string') return [ofText(prompt)]
  if (!Array.isArray(prompt) || prompt.length === 0) throw wrongPrompt(prompt)
  if (prompt.every((item) => typeof item === 'string')) return prompt.map(ofText)
  if (prompt.every((item) => Number.isInteger(item))) return [ofTokens(prompt)]
  if (prompt.every((item) => Array.isArray(item) && item.every((id) => Number.isInteger(id))))
    return prompt.map(ofTokens)
  throw wrongPrompt(prompt)
}

function wrongPrompt(prompt: unknown): Refusal {
  return wrongType('prompt', 'a string, array of strings, array of integers or array of arrays of integers', prompt)
}

function ofText(text: string): TextPrompt {
  return { text, tokens: countTokens(text) }
}

/** The sandbox has no vocabulary: a token id stands for itself. */
function ofTokens(ids: readonly number[]): TextPrompt {
  return { text: ids.map((id) => ` ${id}`).join(''), tokens: ids.length }
}
