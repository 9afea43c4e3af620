import type { Model } from '../model.ts'
import { ANTHROPIC } from './anthropic.ts'
import { AZURE_OPENAI, BEDROCK } from './clouds.ts'
import { GOOGLE } from './google.ts'
import { GROQ, OLLAMA, OPENROUTER, SILICONFLOW, TOGETHER } from './hosts.ts'
import { COHERE, DEEPSEEK, META, MISTRAL, PERPLEXITY, QWEN, XAI } from './makers.ts'
import { OPENAI } from './openai.ts'
import { SANDBOX } from './sandbox.ts'

/** The catalogue in the order that lists show; where two share an id, the earlier one answers to it. */
export const MODELS: readonly Model[] = [
  ...OPENAI,
  ...ANTHROPIC,
  ...GOOGLE,
  ...GROQ,
  ...DEEPSEEK,
  ...MISTRAL,
  ...COHERE,
  ...XAI,
  ...PERPLEXITY,
  ...QWEN,
  ...META,
  ...SILICONFLOW,
  ...TOGETHER,
  ...OPENROUTER,
  ...OLLAMA,
  ...AZURE_OPENAI,
  ...BEDROCK,
  ...SANDBOX,
]

/** Providers that a request can reach; the same ids as the rows of server/providers (a test compares them). */
export const PROVIDER_IDS: ReadonlySet<string> = new Set(MODELS.map((model) => model.provider))
