import type { ModelFacts } from '../../../server/wire/dialect.ts'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import type { FunctionTool, Message, Part, Prompt } from '../../../server/wire/model.ts'

/** A prompt that says nothing but “Hi”. */
export const PROMPT: Prompt = {
  model: 'gemini-2.5-flash',
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

export const OLD = 'gemini-2.5-flash'
export const NEW = 'gemini-3-pro-preview'
export const FACTS: ModelFacts = { maxOutputTokens: null, refuses: [], thinking: null }

export function write(
  said: Partial<Prompt>,
  { model = OLD, facts = null }: { model?: string; facts?: ModelFacts | null } = {},
) {
  const { body, adapted } = geminiDialect.writePrompt({ ...PROMPT, ...said }, { model, facts, promptCache: 'respect' })
  return { body: JSON.parse(JSON.stringify(body)), adapted: adapted.map(({ param, how }) => `${param}=${how}`) }
}

export const user = (...parts: Part[]): Message => ({ role: 'user', name: null, parts })
export const assistant = (...parts: Part[]): Message => ({ role: 'assistant', name: null, parts })
export const text = (text: string): Part => ({ type: 'text', text })
export const call = (id: string, name = 'weather', args = '{"city":"Paris"}'): Part => {
  return { type: 'tool-call', id, name, arguments: args, kind: 'function' }
}
export const result = (callId: string, said: string, isError = false): Part => {
  return { type: 'tool-result', callId, parts: [text(said)], isError }
}
export const proof = (data: string, wire: 'gemini' | 'anthropic-messages' = 'gemini'): Part => {
  return { type: 'reasoning', text: '', summary: false, proof: { wire, data } }
}
export const tool = (name: string, more: Partial<FunctionTool> = {}): FunctionTool => {
  return { type: 'function', name, description: null, parameters: { type: 'object' }, strict: null, ...more }
}
export const PNG: Part = {
  type: 'image',
  source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' },
  detail: null,
}
export const contentsOf = (messages: Message[], model = OLD) => write({ messages }, { model }).body.contents
