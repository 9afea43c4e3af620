export interface Equivalent {
  readonly provider: string
  /** As the provider's API takes it. */
  readonly model: string
}

/**
 * The same model at several providers, as `provider/id`: the same weights of the same version, the maker first. Left out
 * is what only resembles it: versions that a host has quantised under a name of its own (Together's “Turbo”, Meta's
 * “-FP8” of Llama 4 Scout, what Ollama pulls as `qwen3`), and names that stand for several snapshots, of which an Azure
 * deployment may be another one (`gpt-4o`). A model belongs to one family.
 */
export const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  'claude-opus-5-5': ['anthropic/claude-opus-5-5', 'bedrock/global.anthropic.claude-opus-5-5'],
  'claude-opus-5': ['anthropic/claude-opus-5', 'openrouter/anthropic/claude-opus-5'],
  'claude-sonnet-5': [
    'anthropic/claude-sonnet-5',
    'bedrock/global.anthropic.claude-sonnet-5',
    'openrouter/anthropic/claude-sonnet-5',
  ],
  'claude-sonnet-4-6': [
    'anthropic/claude-sonnet-4-6',
    'bedrock/us.anthropic.claude-sonnet-4-6',
    'openrouter/anthropic/claude-sonnet-4.6',
  ],
  'claude-haiku-4-5': [
    'anthropic/claude-haiku-4-5',
    'bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0',
    'openrouter/anthropic/claude-haiku-4.5',
  ],

  'gpt-5.6-terra': ['openai/gpt-5.6-terra', 'bedrock/us.openai.gpt-5.6-terra'],
  'gpt-5.4': ['openai/gpt-5.4', 'azure-openai/gpt-5.4', 'openrouter/openai/gpt-5.4'],
  'gpt-5.4-mini': ['openai/gpt-5.4-mini', 'azure-openai/gpt-5.4-mini'],
  'gpt-5-mini': ['openai/gpt-5-mini', 'azure-openai/gpt-5-mini', 'openrouter/openai/gpt-5-mini'],
  'gpt-4.1': ['openai/gpt-4.1', 'azure-openai/gpt-4.1', 'openrouter/openai/gpt-4.1'],
  'gpt-4o-mini': ['openai/gpt-4o-mini', 'azure-openai/gpt-4o-mini', 'openrouter/openai/gpt-4o-mini'],
  'o4-mini': ['openai/o4-mini', 'azure-openai/o4-mini'],
  'text-embedding-3-small': ['openai/text-embedding-3-small', 'azure-openai/text-embedding-3-small'],
  'text-embedding-3-large': ['openai/text-embedding-3-large', 'azure-openai/text-embedding-3-large'],

  'gemini-3.5-flash': ['google/gemini-3.5-flash', 'openrouter/google/gemini-3.5-flash'],
  'gemini-2.5-pro': ['google/gemini-2.5-pro', 'openrouter/google/gemini-2.5-pro'],
  'gemini-2.5-flash': ['google/gemini-2.5-flash', 'openrouter/google/gemini-2.5-flash'],

  'gpt-oss-120b': ['groq/openai/gpt-oss-120b', 'bedrock/openai.gpt-oss-120b-1:0', 'openrouter/openai/gpt-oss-120b'],
  'gpt-oss-20b': [
    'groq/openai/gpt-oss-20b',
    'bedrock/openai.gpt-oss-20b-1:0',
    'openrouter/openai/gpt-oss-20b',
    'ollama/gpt-oss:20b',
  ],
  'llama-3.3-70b': [
    'meta/Llama-3.3-70B-Instruct',
    'groq/llama-3.3-70b-versatile',
    'openrouter/meta-llama/llama-3.3-70b-instruct',
  ],
  'deepseek-v4-pro': [
    'deepseek/deepseek-v4-pro',
    'together/deepseek-ai/DeepSeek-V4-Pro',
    'openrouter/deepseek/deepseek-v4-pro',
  ],
  'deepseek-v4-flash': ['deepseek/deepseek-v4-flash', 'openrouter/deepseek/deepseek-v4-flash'],
  'deepseek-v3.2': ['siliconflow/deepseek-ai/DeepSeek-V3.2', 'openrouter/deepseek/deepseek-v3.2'],
  'kimi-k2.7-code': ['together/moonshotai/Kimi-K2.7-Code', 'openrouter/moonshotai/kimi-k2.7-code'],
  'kimi-k2.6': ['siliconflow/moonshotai/Kimi-K2.6', 'openrouter/moonshotai/kimi-k2.6'],
  'glm-5.2': ['together/zai-org/GLM-5.2', 'openrouter/z-ai/glm-5.2'],
  'glm-5.1': ['siliconflow/zai-org/GLM-5.1', 'openrouter/z-ai/glm-5.1'],
  'qwen3-32b': ['groq/qwen/qwen3-32b', 'siliconflow/Qwen/Qwen3-32B'],
}

/** Dated names of members: what they are the only snapshot of. */
export const SNAPSHOTS: Readonly<Record<string, string>> = {
  'anthropic/claude-haiku-4-5-20251001': 'anthropic/claude-haiku-4-5',
  'openai/gpt-5.4-2026-03-05': 'openai/gpt-5.4',
  'openai/gpt-5.4-mini-2026-03-17': 'openai/gpt-5.4-mini',
  'openai/gpt-5-mini-2025-08-07': 'openai/gpt-5-mini',
  'openai/gpt-4.1-2025-04-14': 'openai/gpt-4.1',
  'openai/gpt-4o-mini-2024-07-18': 'openai/gpt-4o-mini',
  'openai/o4-mini-2025-04-16': 'openai/o4-mini',
}

const NONE: readonly Equivalent[] = Object.freeze([])

/** By provider, then by the provider's own id: a lookup makes no string. */
const known = new Map<string, Map<string, readonly Equivalent[]>>()

for (const pins of Object.values(FAMILIES)) {
  for (const pin of pins) note(pin, Object.freeze(pins.filter((other) => other !== pin).map(parted)))
}
for (const [dated, pin] of Object.entries(SNAPSHOTS)) {
  const { provider, model } = parted(pin)
  note(dated, equivalentsOf(provider, model))
}

function parted(pin: string): Equivalent {
  const slash = pin.indexOf('/')
  return Object.freeze({ provider: pin.slice(0, slash), model: pin.slice(slash + 1) })
}

function note(pin: string, others: readonly Equivalent[]): void {
  const { provider, model } = parted(pin)
  let models = known.get(provider)
  if (models === undefined) {
    models = new Map()
    known.set(provider, models)
  }
  models.set(model, others)
}

/**
 * The same model at other providers, the maker's own first; empty where the catalogue knows none. Cheap enough for every
 * call. @param model the provider's own id
 */
export function equivalentsOf(provider: string, model: string): readonly Equivalent[] {
  return known.get(provider)?.get(model) ?? NONE
}
