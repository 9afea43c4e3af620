import { anthropicMessagesDialect } from '../../../server/wire/anthropic-messages/dialect.ts'
import { anthropicMessages } from '../../../server/wire/anthropic-messages/wire.ts'
import type { ModelFacts, WriteOptions } from '../../../server/wire/dialect.ts'
import type { Message, Part, Prompt, ReasoningWish, Role } from '../../../server/wire/model.ts'
import { jsonBytes } from '../../helpers/wire.ts'

/** Prompts as another wire's dialect would read them. */

const EMPTY: Prompt = {
  model: 'm',
  stream: false,
  messages: [{ role: 'user', name: null, parts: [{ type: 'text', text: 'Hi' }] }],
  tools: [],
  toolChoice: null,
  parallelToolCalls: null,
  format: null,
  reasoning: null,
  maxOutputTokens: null,
  temperature: null,
  topP: null,
  topK: null,
  stop: [],
  seed: null,
  n: null,
  frequencyPenalty: null,
  presencePenalty: null,
  logitBias: null,
  logprobs: null,
  verbosity: null,
  serviceTier: null,
  user: null,
  promptCacheKey: null,
  extras: [],
}

export function prompt(more: Partial<Prompt> = {}): Prompt {
  return { ...EMPTY, ...more }
}

export function said(role: Role, ...parts: (string | Part)[]): Message {
  return {
    role,
    name: null,
    parts: parts.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part)),
  }
}

export function facts(more: Partial<ModelFacts> = {}): ModelFacts {
  return { maxOutputTokens: null, refuses: [], thinking: null, ...more }
}

type Body = Record<string, unknown> & {
  messages: { role: string; content: Record<string, unknown>[] }[]
  system?: Record<string, unknown>[]
  tools?: Record<string, unknown>[]
}

/** The request that a provider gets, and what was adapted as `param=how`. */
export function write(given: Partial<Prompt>, options: Partial<WriteOptions> = {}): { body: Body; adapted: string[] } {
  const { body, adapted } = anthropicMessagesDialect.writePrompt(prompt(given), {
    model: 'claude-x',
    facts: null,
    promptCache: 'respect',
    ...options,
  })
  const sent = JSON.parse(JSON.stringify(body))
  return { body: sent, adapted: adapted.map(({ param, how }) => `${param}=${how}`) }
}

export function read(request: object): Prompt {
  return anthropicMessagesDialect.readPrompt(anthropicMessages.readAsk(jsonBytes(request)))
}

/** The parts that the suites speak of most. */

export const text = (words: string): Part => ({ type: 'text', text: words })

export const call = (id: string, args = '{}', more: object = {}): Part =>
  ({ type: 'tool-call', id, name: 'look', arguments: args, kind: 'function', ...more }) as Part

export const result = (callId: string, ...parts: Part[]): Part => ({
  type: 'tool-result',
  callId,
  parts,
  isError: false,
})

export const look = {
  type: 'function',
  name: 'look',
  description: 'Looks',
  parameters: { type: 'object' },
  strict: null,
} as const

export function wish(more: Partial<ReasoningWish>): ReasoningWish {
  return { effort: null, budgetTokens: null, adaptive: false, summary: null, ...more }
}
