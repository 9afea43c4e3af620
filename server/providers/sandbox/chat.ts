import type { Choice, Head, Shape } from './chat-shape.ts'
import { chatEvents } from './chat-stream.ts'
import { checkSampling, invalidValue, type Json, readFlag, readNumber, readStop, wantsUsage } from './check.ts'
import { chatLogprobs } from './logprobs.ts'
import { type Prompt, readMessages } from './messages.ts'
import { type SandboxModel, sandboxModel } from './model.ts'
import { Dice } from './random.ts'
import { jsonReply, Refusal, type Reply, streamReply } from './reply.ts'
import { cutText, readFormat, writeAnswer } from './text.ts'
import { countTokens } from './tokens.ts'
import { planTools, type ToolCall } from './tools.ts'

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']
/** Tokens that the sandbox pretends to think, by effort. */
const THINKING: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 0,
  low: 64,
  medium: 192,
  high: 512,
  xhigh: 1024,
  max: 2048,
}

/** One request of `/chat/completions`. @throws Refusal as OpenAI would. @param created Unix seconds. */
export function answerChat(body: Json, seed: number, created: number): Reply {
  const name = String(body.model)
  const model = sandboxModel(name)
  checkSampling(body)
  const prompt = readMessages(body)
  const dice = new Dice(seed)
  const head: Head = {
    id: `chatcmpl-${dice.id(29)}`,
    created,
    model: name,
    service_tier: 'default',
    system_fingerprint: 'fp_sandbox01',
  }
  const limit = readLimit(body, model)
  const promptTokens = countPrompt(body, prompt)
  if (promptTokens > model.contextLength) {
    throw new Refusal(
      `This model's maximum context length is ${model.contextLength} tokens. However, your messages resulted in ` +
        `${promptTokens} tokens. Please reduce the length of the messages.`,
      'messages',
      'context_length_exceeded',
    )
  }
  const shape: Shape = { wantsUsage: wantsUsage(body), topLogprobs: readLogprobs(body) }
  const count = readNumber(body, 'n', { low: 1, high: 128, whole: true }) ?? 1
  // All choices together stay within one answer's longest, or a request could ask for gigabytes.
  const share = Math.max(1, Math.floor(model.maxOutputTokens / count))
  const plan: Plan = { body, prompt, model, limit: Math.min(limit, share) }
  const choices = Array.from({ length: count }, (_, i) => choose(plan, i === 0 ? dice : new Dice(seed + i)))
  const usage = usageOf(choices, promptTokens, prompt.audioTokens)
  if (readFlag(body, 'stream')) return streamReply(chatEvents(head, choices, usage, shape), seed)
  const written = choices.map((choice, index) => choiceOf(choice, index, shape))
  return jsonReply(200, { ...head, object: 'chat.completion', choices: written, usage }, seed)
}

interface Plan {
  readonly body: Json
  readonly prompt: Prompt
  readonly model: SandboxModel
  readonly limit: number
}

function choose({ body, prompt, model, limit }: Plan, dice: Dice): Choice {
  const reasoningTokens = Math.min(limit, thinking(body, model))
  const left = limit - reasoningTokens
  const format = readFormat(body, prompt)
  const { calls, legacy } = planTools(body, prompt, dice)
  const rest = { reasoningTokens, legacyCall: legacy }
  if (calls.length > 0) {
    const needed = calls.reduce((sum, call) => sum + countTokens(call.input), 0)
    if (needed > left) return { ...rest, tokens: [], calls: [], finish: 'length' }
    return { ...rest, tokens: [], calls, finish: legacy ? 'function_call' : 'tool_calls' }
  }
  const text = model.behaviour === 'echo' ? prompt.lastUserText : writeAnswer(prompt, format, dice)
  return { ...rest, ...cutText(text, readStop(body), left), calls: [] }
}

function thinking(body: Json, model: SandboxModel): number {
  const effort = body.reasoning_effort
  if (effort === undefined || effort === null) return model.reasons ? THINKING.medium! : 0
  if (!EFFORTS.includes(String(effort))) throw invalidValue('reasoning_effort', effort, EFFORTS)
  return THINKING[String(effort)]!
}

function readLimit(body: Json, model: SandboxModel): number {
  const old = readNumber(body, 'max_tokens', { low: 1, whole: true })
  const current = readNumber(body, 'max_completion_tokens', { low: 1, whole: true })
  const param = current === null ? 'max_tokens' : 'max_completion_tokens'
  if (old !== null && current !== null) {
    throw new Refusal(
      "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
      'max_tokens',
      'invalid_parameter_combination',
    )
  }
  const limit = current ?? old ?? model.maxOutputTokens
  if (limit > model.maxOutputTokens) {
    throw new Refusal(
      `${param} is too large: ${limit}. This model supports at most ${model.maxOutputTokens} completion tokens, ` +
        `whereas you provided ${limit}.`,
      param,
      'invalid_value',
    )
  }
  return limit
}

function readLogprobs(body: Json): number | null {
  const top = readNumber(body, 'top_logprobs', { low: 0, high: 20, whole: true })
  if (readFlag(body, 'logprobs')) return top ?? 0
  if (top !== null) {
    throw new Refusal(
      "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
      'top_logprobs',
      'invalid_value',
    )
  }
  return null
}

/** Tools and schemas are part of what the model reads. */
function countPrompt(body: Json, prompt: Prompt): number {
  let tokens = prompt.textTokens + prompt.audioTokens
  for (const part of [body.tools, body.functions, body.response_format]) {
    if (part !== undefined && part !== null) tokens += countTokens(JSON.stringify(part))
  }
  return tokens
}

function usageOf(choices: readonly Choice[], promptTokens: number, audioTokens: number): object {
  let completion = 0
  let reasoning = 0
  for (const choice of choices) {
    reasoning += choice.reasoningTokens
    completion += choice.reasoningTokens + choice.tokens.length
    for (const call of choice.calls) completion += countTokens(call.name) + countTokens(call.input)
  }
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completion,
    total_tokens: promptTokens + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: audioTokens },
    completion_tokens_details: {
      reasoning_tokens: reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

function choiceOf(choice: Choice, index: number, shape: Shape): object {
  const { tokens, calls, legacyCall, finish } = choice
  const message = {
    role: 'assistant',
    content: calls.length > 0 ? null : tokens.join(''),
    ...(calls.length > 0 ? callsOf(calls, legacyCall) : {}),
    refusal: null,
    annotations: [],
  }
  const logprobs = shape.topLogprobs === null || calls.length > 0 ? null : chatLogprobs(tokens, shape.topLogprobs)
  return { index, message, logprobs, finish_reason: finish }
}

function callsOf(calls: readonly ToolCall[], legacy: boolean): object {
  if (legacy) return { function_call: { name: calls[0]!.name, arguments: calls[0]!.input } }
  return {
    tool_calls: calls.map(({ id, kind, name, input }) =>
      kind === 'custom'
        ? { id, type: kind, custom: { name, input } }
        : { id, type: kind, function: { name, arguments: input } },
    ),
  }
}
