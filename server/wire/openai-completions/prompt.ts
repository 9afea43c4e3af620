import { decode } from '../json.ts'
import type { Extra, Prompt } from '../model.ts'
import { askedNumber, askedText, askedTexts, isRecord, record } from '../openai-chat/values.ts'
import { type Ask, WireError } from '../wire.ts'

const WIRE = 'openai-completions'

/** `echo` is made up for in the answer; all else that is not named here travels as extras. */
const MAPPED: ReadonlySet<string> = new Set([
  'model',
  'prompt',
  'stream',
  'echo',
  'max_tokens',
  'temperature',
  'top_p',
  'top_k',
  'n',
  'logprobs',
  'stop',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'user',
  'seed',
])

/**
 * A text to go on with, as the one message of a chat. @throws WireError naming the parameter; for tokens, which only the
 * model's own tokenizer can read, and for several prompts, of which a chat has one
 */
export function readPrompt(ask: Ask): Prompt {
  const body = record(JSON.parse(decode(ask.body, 0, ask.body.length)))
  const extras: Extra[] = []
  for (const [name, value] of Object.entries(body)) {
    // The best of one is the one.
    const isVoid = value === null || (name === 'best_of' && (value === 1 || value === body.n)) || value === ''
    if (!MAPPED.has(name) && !isVoid) extras.push({ wire: WIRE, name, value })
  }
  return {
    model: ask.model,
    stream: ask.stream,
    messages: [{ role: 'user', name: null, parts: [{ type: 'text', text: promptOf(body.prompt) }] }],
    tools: [],
    toolChoice: null,
    parallelToolCalls: null,
    format: null,
    reasoning: null,
    maxOutputTokens: askedNumber(body, 'max_tokens'),
    temperature: askedNumber(body, 'temperature'),
    topP: askedNumber(body, 'top_p'),
    topK: askedNumber(body, 'top_k'),
    stop: askedTexts(body, 'stop'),
    seed: askedNumber(body, 'seed'),
    n: askedNumber(body, 'n'),
    frequencyPenalty: askedNumber(body, 'frequency_penalty'),
    presencePenalty: askedNumber(body, 'presence_penalty'),
    logitBias: isRecord(body.logit_bias) ? (body.logit_bias as Record<string, number>) : null,
    logprobs: askedNumber(body, 'logprobs'),
    verbosity: null,
    serviceTier: null,
    user: askedText(body, 'user'),
    promptCacheKey: null,
    extras,
  }
}

/** @throws WireError for tokens and for several prompts */
function promptOf(prompt: unknown): string {
  if (typeof prompt === 'string') return prompt
  const list = Array.isArray(prompt) ? prompt : []
  if (list.length === 1 && typeof list[0] === 'string') return list[0]
  if (list.length > 1 && list.every((item) => typeof item === 'string')) {
    throw new WireError(
      'This model is served by a chat API, which takes one prompt a call: send one call for each prompt',
      'prompt',
    )
  }
  throw new WireError('"prompt" must be text: this model is served by a chat API, which takes no token ids', 'prompt')
}

/** The text that the answer begins with, when the caller asked to have it back. */
export function echoOf({ body, members }: Ask): string {
  const echo = members.get('echo')
  if (echo === undefined || decode(body, echo.start, echo.end) !== 'true') return ''
  const prompt = members.get('prompt')
  return prompt === undefined ? '' : promptOf(JSON.parse(decode(body, prompt.start, prompt.end)))
}
