import { modelsOf } from '../model.ts'

/** Those that serve models of their own. @see https://api-docs.deepseek.com/quick_start/pricing */
export const DEEPSEEK = modelsOf('deepseek', [
  [
    'deepseek-v4-pro',
    'DeepSeek V4 Pro',
    'reasoning',
    'chat tools json_schema reasoning',
    1_000_000,
    384_000,
    '2026-04-24',
  ],
  [
    'deepseek-v4-flash',
    'DeepSeek V4 Flash',
    'reasoning',
    'chat tools json_schema reasoning',
    1_000_000,
    384_000,
    '2026-04-24',
  ],
])

/** @see https://docs.mistral.ai/getting-started/models */
export const MISTRAL = modelsOf('mistral', [
  ['mistral-large-2512', 'Mistral Large 3', 'chat', 'chat tools vision json_schema', 262_144, 262_144, '2025-12-02'],
  [
    'mistral-medium-latest',
    'Mistral Medium 3.5',
    'reasoning',
    'chat tools vision json_schema reasoning',
    262_144,
    262_144,
    '2026-04-29',
  ],
  [
    'mistral-small-2603',
    'Mistral Small 4',
    'reasoning',
    'chat tools vision json_schema reasoning',
    262_144,
    262_144,
    '2026-03-16',
  ],
  ['codestral-2508', 'Codestral', 'coding', 'chat tools', 256_000, 4_096, '2025-07-30'],
  ['devstral-2512', 'Devstral 2', 'coding', 'chat tools', 262_144, 262_144, '2025-12-09'],
  [
    'magistral-medium-latest',
    'Magistral Medium',
    'reasoning',
    'chat tools vision reasoning',
    128_000,
    16_384,
    '2025-06-10',
  ],
  ['ministral-8b-2512', 'Ministral 3 8B', 'chat', 'chat tools vision', 262_144, 262_144, '2025-12-02'],
  ['mistral-embed', 'Mistral Embed', 'embedding', 'embeddings', 8_192, null, '2023-12-11'],
])

/** @see https://docs.cohere.com/docs/models */
export const COHERE = modelsOf('cohere', [
  ['command-a-03-2025', 'Command A', 'chat', 'chat tools', 256_000, 8_192, '2025-03-13'],
  ['command-r-plus-08-2024', 'Command R+', 'chat', 'chat tools', 128_000, 4_096, '2024-08-30'],
  ['command-r-08-2024', 'Command R', 'chat', 'chat tools', 128_000, 4_096, '2024-08-30'],
  ['command-r7b-12-2024', 'Command R7B', 'chat', 'chat tools', 128_000, 4_096, '2024-12-13'],
  ['embed-v4.0', 'Embed 4', 'embedding', 'embeddings', 128_000, null, '2025-04-15'],
])

/** @see https://docs.x.ai/docs/models */
export const XAI = modelsOf('xai', [
  ['grok-4.6', 'Grok 4.6', 'reasoning', 'chat tools vision json_schema reasoning', 500_000, null, '2026-08-12'],
  ['grok-4.5', 'Grok 4.5', 'reasoning', 'chat tools vision json_schema reasoning', 500_000, null, '2026-07-08'],
  ['grok-4.3', 'Grok 4.3', 'reasoning', 'chat tools vision json_schema reasoning', 1_000_000, 30_000, '2026-04-17'],
  [
    'grok-build-0.1',
    'Grok Build 0.1',
    'coding',
    'chat tools vision json_schema reasoning',
    256_000,
    256_000,
    '2026-04-16',
  ],
])

/** @see https://docs.perplexity.ai/getting-started/models */
export const PERPLEXITY = modelsOf('perplexity', [
  ['sonar', 'Sonar', 'search', 'chat search json_schema', 128_000, 4_096, '2025-01-21'],
  ['sonar-pro', 'Sonar Pro', 'search', 'chat vision search json_schema', 200_000, 8_192, '2025-01-21'],
  [
    'sonar-reasoning-pro',
    'Sonar Reasoning Pro',
    'search',
    'chat vision search reasoning',
    128_000,
    4_096,
    '2025-02-19',
  ],
  ['sonar-deep-research', 'Sonar Deep Research', 'search', 'chat search reasoning', 128_000, 32_768, '2025-02-14'],
])

/** @see https://www.alibabacloud.com/help/en/model-studio/models */
export const QWEN = modelsOf('qwen', [
  ['qwen3.7-max', 'Qwen3.7 Max', 'reasoning', 'chat tools reasoning', 1_000_000, 65_536, '2026-05-21'],
  ['qwen3.7-plus', 'Qwen3.7 Plus', 'reasoning', 'chat tools vision reasoning', 1_000_000, 65_536, '2026-06-02'],
  [
    'qwen3.6-flash',
    'Qwen3.6 Flash',
    'reasoning',
    'chat tools vision json_schema reasoning',
    1_000_000,
    65_536,
    '2026-04-27',
  ],
  ['qwen3-max', 'Qwen3 Max', 'chat', 'chat tools', 262_144, 65_536, '2025-09-23'],
  ['qwen3-coder-plus', 'Qwen3 Coder Plus', 'coding', 'chat tools', 1_048_576, 65_536, '2025-07-23'],
  ['qwen-flash', 'Qwen Flash', 'chat', 'chat tools reasoning', 1_000_000, 32_768, '2025-07-28'],
  ['text-embedding-v4', 'Text Embedding v4', 'embedding', 'embeddings', 8_192, null, '2025-06-05'],
])

/** @see https://llama.developer.meta.com/docs/models */
export const META = modelsOf('meta', [
  [
    'Llama-4-Maverick-17B-128E-Instruct-FP8',
    'Llama 4 Maverick',
    'chat',
    'chat tools vision json_schema',
    128_000,
    4_096,
    '2025-04-05',
  ],
  [
    'Llama-4-Scout-17B-16E-Instruct-FP8',
    'Llama 4 Scout',
    'chat',
    'chat tools vision json_schema',
    128_000,
    4_096,
    '2025-04-05',
  ],
  ['Llama-3.3-70B-Instruct', 'Llama 3.3 70B', 'chat', 'chat tools json_schema', 128_000, 4_096, '2024-12-06'],
  ['Llama-3.3-8B-Instruct', 'Llama 3.3 8B', 'chat', 'chat tools json_schema', 128_000, 4_096, '2024-12-06'],
])
