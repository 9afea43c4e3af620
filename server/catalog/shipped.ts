import type { Override } from './overrides.ts'

/** A price that its provider has announced to change: `price` holds until `until` (UTC, `YYYY-MM-DD`), then `next`. */
export interface Announced {
  readonly until: string
  readonly price: Override
  readonly next: Override
}

/**
 * Prices that the tables lack or have wrong, USD a million tokens, read from the providers' pages in July to November
 * 2026. `provider/model`, or `provider/*` for the rest of a provider.
 */
export const SHIPPED: Readonly<Record<string, Override | Announced>> = {
  // Answered by this process, or by the operator's own machine: nobody sends a bill.
  'sandbox/*': { input: 0, output: 0 },
  'ollama/*': { input: 0, output: 0 },

  // The Llama API is a free preview. https://llama.developer.meta.com
  'meta/Llama-4-Maverick-17B-128E-Instruct-FP8': { input: 0, output: 0 },
  'meta/Llama-4-Scout-17B-16E-Instruct-FP8': { input: 0, output: 0 },
  'meta/Llama-3.3-70B-Instruct': { input: 0, output: 0 },
  'meta/Llama-3.3-8B-Instruct': { input: 0, output: 0 },

  // https://platform.claude.com/docs/en/about-claude/pricing
  'anthropic/claude-fable-5-2*': { input: 8, output: 40, cache_read: 0.2, cache_write: 10, cache_write_1h: 16 },
  'anthropic/claude-sonnet-5-5*': { input: 2, output: 10, cache_read: 0.1, cache_write: 2.5, cache_write_1h: 4 },
  'anthropic/claude-haiku-5-5*': {
    input: 0.1,
    output: 0.5,
    cache_read: 0.01,
    cache_write: 0.125,
    cache_write_1h: 0.2,
    tiers: [{ above_input: 100_000, input: 0.5, output: 2.5, cache_read: 0.05, cache_write: 0.625, cache_write_1h: 1 }],
  },

  // https://platform.openai.com/docs/pricing
  'openai/gpt-6.1-sol*': {
    input: 2,
    output: 10,
    cache_read: 0.1,
    cache_write: 2.5,
    tiers: [{ above_input: 272_000, input: 4, output: 15, cache_read: 0.2, cache_write: 5 }],
  },
  'openai/gpt-6.1-terra*': {
    input: 1,
    output: 5,
    cache_read: 0.05,
    cache_write: 1.25,
    tiers: [{ above_input: 272_000, input: 2, output: 7.5, cache_read: 0.1, cache_write: 2.5 }],
  },

  // Introductory until the end of November 2026. https://ai.google.dev/gemini-api/docs/pricing
  'google/gemini-4-argon': {
    until: '2026-12-01',
    price: { input: 2, output: 10, cache_read: 0.1 },
    next: { input: 4, output: 20, cache_read: 0.2 },
  },

  // International region. https://www.alibabacloud.com/help/en/model-studio/model-pricing
  'qwen/qwen3.7-max': { input: 2.5, output: 7.5, cache_read: 0.5 },
  'qwen/qwen3.7-plus': { input: 0.5, output: 3, cache_read: 0.05 },
  'qwen/qwen3.6-flash': { input: 0.1875, output: 1.125 },
  'qwen/qwen3.6-plus': { input: 0.5, output: 3, cache_read: 0.05 },
  'qwen/qwen3-max': { input: 1.2, output: 6 },
  'qwen/qwen3-coder-plus': { input: 1, output: 5 },
  'qwen/qwen3-coder-flash': { input: 0.3, output: 1.5 },
  'qwen/qwen-max': { input: 1.6, output: 6.4 },
  'qwen/qwen-plus': { input: 0.4, output: 1.2 },
  'qwen/qwen-flash': { input: 0.05, output: 0.4 },
  'qwen/qwen-turbo': { input: 0.05, output: 0.2 },
  'qwen/text-embedding-v4': { input: 0.07 },

  // https://siliconflow.com/pricing
  'siliconflow/deepseek-ai/DeepSeek-V3.2': { input: 0.27, output: 0.42 },
  'siliconflow/Qwen/Qwen3-32B': { input: 0.14, output: 0.57 },
  'siliconflow/Qwen/Qwen3-Coder-480B-A35B-Instruct': { input: 0.25, output: 1 },
  'siliconflow/moonshotai/Kimi-K2.6': { input: 0.77, output: 4, cache_read: 0.2 },
  'siliconflow/zai-org/GLM-5.1': { input: 1.4, output: 4.4 },
  'siliconflow/Qwen/Qwen3-Embedding-8B': { input: 0.04 },

  // https://www.together.ai/pricing
  'together/deepseek-ai/DeepSeek-V4-Pro': { input: 1.74, output: 3.48, cache_read: 0.2 },
  'together/moonshotai/Kimi-K2.7-Code': { input: 0.95, output: 4, cache_read: 0.19 },
  'together/zai-org/GLM-5.2': { input: 1.4, output: 4.4, cache_read: 0.26 },
  'together/Qwen/Qwen3.5-9B': { input: 0.17, output: 0.25 },
  'together/intfloat/multilingual-e5-large-instruct': { input: 0.02 },

  // The tables price these audio models' text only. https://platform.openai.com/docs/pricing
  'openai/gpt-4o-audio-preview': { input: 2.5, output: 10, audio_input: 40, audio_output: 80 },
  'openai/gpt-4o-mini-audio-preview': { input: 0.15, output: 0.6, audio_input: 10, audio_output: 20 },
}
