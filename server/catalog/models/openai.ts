import { modelsOf } from '../model.ts'

const FULL = 'chat tools vision json_schema reasoning'
const PLAIN = 'chat tools vision json_schema'

/** @see https://platform.openai.com/docs/models */
export const OPENAI = modelsOf('openai', [
  ['gpt-6-astra', 'GPT-6 Astra', 'reasoning', FULL, 1_050_000, 128_000, '2026-09-05'],
  ['gpt-6.1-sol', 'GPT-6.1 Sol', 'reasoning', FULL, 1_050_000, 128_000, '2026-09-29'],
  ['gpt-6.1-terra', 'GPT-6.1 Terra', 'reasoning', FULL, 1_050_000, 128_000, '2026-10-26'],
  ['gpt-6-sol', 'GPT-6 Sol', 'reasoning', FULL, 1_050_000, 128_000, '2026-09-22'],
  ['gpt-6-luna', 'GPT-6 Luna', 'reasoning', FULL, 1_050_000, 128_000, '2026-09-22'],
  ['gpt-5.6-sol', 'GPT-5.6 Sol', 'reasoning', FULL, 1_050_000, 128_000, '2026-07-09'],
  ['gpt-5.6-terra', 'GPT-5.6 Terra', 'reasoning', FULL, 1_050_000, 128_000, '2026-07-09'],
  ['gpt-5.6-luna', 'GPT-5.6 Luna', 'reasoning', FULL, 1_050_000, 128_000, '2026-07-09'],
  ['gpt-5.5', 'GPT-5.5', 'reasoning', FULL, 1_050_000, 128_000, '2026-04-23'],
  ['gpt-5.4', 'GPT-5.4', 'reasoning', FULL, 1_050_000, 128_000, '2026-03-05'],
  ['gpt-5.4-mini', 'GPT-5.4 mini', 'reasoning', FULL, 400_000, 128_000, '2026-03-17'],
  ['gpt-5.4-nano', 'GPT-5.4 nano', 'reasoning', FULL, 400_000, 128_000, '2026-03-17'],
  ['gpt-5.3-codex', 'GPT-5.3 Codex', 'coding', FULL, 400_000, 128_000, '2026-02-05'],
  ['gpt-5.2', 'GPT-5.2', 'reasoning', FULL, 400_000, 128_000, '2025-12-11'],
  ['gpt-5.1', 'GPT-5.1', 'reasoning', FULL, 400_000, 128_000, '2025-11-13'],
  ['gpt-5-pro', 'GPT-5 pro', 'reasoning', FULL, 400_000, 272_000, '2025-10-06'],
  ['gpt-5', 'GPT-5', 'reasoning', FULL, 400_000, 128_000, '2025-08-07'],
  ['gpt-5-mini', 'GPT-5 mini', 'reasoning', FULL, 400_000, 128_000, '2025-08-07'],
  ['gpt-5-nano', 'GPT-5 nano', 'reasoning', FULL, 400_000, 128_000, '2025-08-07'],
  ['gpt-4.1', 'GPT-4.1', 'chat', PLAIN, 1_047_576, 32_768, '2025-04-14'],
  ['gpt-4.1-mini', 'GPT-4.1 mini', 'chat', PLAIN, 1_047_576, 32_768, '2025-04-14'],
  ['gpt-4.1-nano', 'GPT-4.1 nano', 'chat', PLAIN, 1_047_576, 32_768, '2025-04-14'],
  ['gpt-4o', 'GPT-4o', 'chat', PLAIN, 128_000, 16_384, '2024-05-13'],
  ['gpt-4o-mini', 'GPT-4o mini', 'chat', PLAIN, 128_000, 16_384, '2024-07-18'],
  ['gpt-audio', 'GPT Audio', 'chat', 'chat tools audio', 128_000, 16_384, '2025-08-28'],
  ['o3', 'o3', 'reasoning', FULL, 200_000, 100_000, '2025-04-16'],
  ['o4-mini', 'o4-mini', 'reasoning', FULL, 200_000, 100_000, '2025-04-16'],
  ['gpt-3.5-turbo', 'GPT-3.5 Turbo', 'chat', 'chat tools', 16_385, 4_096, '2023-03-01'],
  ['gpt-3.5-turbo-instruct', 'GPT-3.5 Turbo Instruct', 'chat', 'completions', 4_096, 4_096, '2023-09-18'],
  ['text-embedding-3-small', 'Text Embedding 3 small', 'embedding', 'embeddings', 8_192, null, '2024-01-25'],
  ['text-embedding-3-large', 'Text Embedding 3 large', 'embedding', 'embeddings', 8_192, null, '2024-01-25'],
  ['text-embedding-ada-002', 'Text Embedding Ada 002', 'embedding', 'embeddings', 8_192, null, '2022-12-15'],
])
