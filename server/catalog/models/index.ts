import type { Model } from '../model.ts'
import { GROQ, OLLAMA, OPENROUTER, SILICONFLOW, TOGETHER } from './hosts.ts'
import { DEEPSEEK, META, MISTRAL, PERPLEXITY, QWEN, XAI } from './makers.ts'
import { OPENAI } from './openai.ts'
import { SANDBOX } from './sandbox.ts'

/** The catalogue in the order that lists show; where two share an id, the earlier one answers to it. */
export const MODELS: readonly Model[] = [
  ...OPENAI,
  ...GROQ,
  ...DEEPSEEK,
  ...MISTRAL,
  ...XAI,
  ...PERPLEXITY,
  ...QWEN,
  ...META,
  ...SILICONFLOW,
  ...TOGETHER,
  ...OPENROUTER,
  ...OLLAMA,
  ...SANDBOX,
]

/** Providers that a request can reach; the same ids as the rows of server/providers (a test compares them). */
export const PROVIDER_IDS: ReadonlySet<string> = new Set(MODELS.map((model) => model.provider))
