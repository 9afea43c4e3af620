import { modelsOf } from '../model.ts'

/** Those that host other makers' models. @see https://console.groq.com/docs/models */
export const GROQ = modelsOf('groq', [
  ['llama-3.3-70b-versatile', 'Llama 3.3 70B', 'chat', 'chat tools', 131_072, 32_768, '2024-12-06'],
  ['llama-3.1-8b-instant', 'Llama 3.1 8B', 'chat', 'chat tools', 131_072, 131_072, '2024-07-23'],
  [
    'meta-llama/llama-4-scout-17b-16e-instruct',
    'Llama 4 Scout',
    'chat',
    'chat tools vision json_schema',
    131_072,
    8_192,
    '2025-04-05',
  ],
  [
    'openai/gpt-oss-120b',
    'gpt-oss 120B',
    'reasoning',
    'chat tools json_schema reasoning',
    131_072,
    65_536,
    '2025-08-05',
  ],
  ['openai/gpt-oss-20b', 'gpt-oss 20B', 'reasoning', 'chat tools json_schema reasoning', 131_072, 65_536, '2025-08-05'],
  ['qwen/qwen3-32b', 'Qwen3 32B', 'reasoning', 'chat tools reasoning', 131_072, 40_960, '2025-06-11'],
])

/** @see https://docs.together.ai/docs/serverless-models */
export const TOGETHER = modelsOf('together', [
  [
    'meta-llama/Llama-3.3-70B-Instruct-Turbo',
    'Llama 3.3 70B Turbo',
    'chat',
    'chat completions tools',
    131_072,
    131_072,
    '2024-12-06',
  ],
  [
    'deepseek-ai/DeepSeek-V4-Pro',
    'DeepSeek V4 Pro',
    'reasoning',
    'chat tools json_schema reasoning',
    512_000,
    384_000,
    '2026-04-24',
  ],
  [
    'moonshotai/Kimi-K2.7-Code',
    'Kimi K2.7 Code',
    'coding',
    'chat tools json_schema reasoning',
    262_144,
    131_072,
    '2026-06-14',
  ],
  ['zai-org/GLM-5.2', 'GLM-5.2', 'reasoning', 'chat tools json_schema reasoning', 262_144, 164_000, '2026-06-16'],
  [
    'Qwen/Qwen3.5-9B',
    'Qwen3.5 9B',
    'reasoning',
    'chat tools vision json_schema reasoning',
    262_144,
    65_536,
    '2026-03-03',
  ],
  [
    'intfloat/multilingual-e5-large-instruct',
    'Multilingual E5 large',
    'embedding',
    'embeddings',
    514,
    null,
    '2024-02-08',
  ],
])

/** @see https://siliconflow.com/models */
export const SILICONFLOW = modelsOf('siliconflow', [
  [
    'deepseek-ai/DeepSeek-V3.2',
    'DeepSeek V3.2',
    'reasoning',
    'chat tools json_schema reasoning',
    164_000,
    164_000,
    '2025-12-03',
  ],
  ['Qwen/Qwen3-32B', 'Qwen3 32B', 'reasoning', 'chat tools json_schema reasoning', 131_000, 131_000, '2025-04-30'],
  [
    'Qwen/Qwen3-Coder-480B-A35B-Instruct',
    'Qwen3 Coder 480B',
    'coding',
    'chat tools json_schema',
    262_000,
    262_000,
    '2025-07-31',
  ],
  [
    'moonshotai/Kimi-K2.6',
    'Kimi K2.6',
    'reasoning',
    'chat tools vision json_schema reasoning',
    262_000,
    262_000,
    '2026-04-21',
  ],
  ['zai-org/GLM-5.1', 'GLM-5.1', 'reasoning', 'chat tools json_schema reasoning', 205_000, 205_000, '2026-04-08'],
  ['Qwen/Qwen3-Embedding-8B', 'Qwen3 Embedding 8B', 'embedding', 'embeddings', 32_768, null, '2025-06-05'],
])

/** A few of its hundreds; `openrouter/vendor/model` reaches the others. @see https://openrouter.ai/models */
export const OPENROUTER = modelsOf('openrouter', [
  [
    'anthropic/claude-sonnet-5',
    'Claude Sonnet 5',
    'reasoning',
    'chat tools vision json_schema reasoning',
    1_000_000,
    128_000,
    '2026-06-30',
  ],
  [
    'anthropic/claude-haiku-4.5',
    'Claude Haiku 4.5',
    'chat',
    'chat tools vision reasoning',
    200_000,
    64_000,
    '2025-10-15',
  ],
  [
    'google/gemini-3.5-flash',
    'Gemini 3.5 Flash',
    'chat',
    'chat tools vision audio json_schema reasoning',
    1_048_576,
    65_536,
    '2026-05-19',
  ],
  ['openai/gpt-4o-mini', 'GPT-4o mini', 'chat', 'chat tools vision json_schema', 128_000, 16_384, '2024-07-18'],
  ['meta-llama/llama-3.3-70b-instruct', 'Llama 3.3 70B', 'chat', 'chat tools', 131_072, 16_384, '2024-12-06'],
])

/** What a machine of one's own commonly runs; any pulled model answers to `ollama/name`. @see https://ollama.com/library */
export const OLLAMA = modelsOf('ollama', [
  ['gpt-oss:20b', 'gpt-oss 20B', 'reasoning', 'chat completions tools reasoning', 131_072, null, '2025-08-05'],
  ['llama3.2', 'Llama 3.2 3B', 'chat', 'chat completions tools', 131_072, null, '2024-09-25'],
  ['qwen3', 'Qwen3 8B', 'reasoning', 'chat completions tools reasoning', 40_960, null, '2025-04-29'],
  ['gemma3', 'Gemma 3 4B', 'chat', 'chat completions vision', 131_072, null, '2025-03-12'],
  ['nomic-embed-text', 'Nomic Embed Text', 'embedding', 'embeddings', 2_048, null, '2024-02-01'],
])
