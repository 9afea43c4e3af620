import { modelsOf } from '../model.ts'

const FULL = 'chat tools vision json_schema reasoning'
const PLAIN = 'chat tools vision json_schema'

/**
 * Deployments that are named for their model, as the portal proposes; any other is reached by its name as
 * `azure-openai/name`. @see https://learn.microsoft.com/azure/foundry/foundry-models/concepts/models-sold-directly-by-azure
 */
export const AZURE_OPENAI = modelsOf('azure-openai', [
  ['gpt-5.4', 'GPT-5.4 (Azure)', 'reasoning', FULL, 1_050_000, 128_000, '2026-03-05'],
  ['gpt-5.4-mini', 'GPT-5.4 mini (Azure)', 'reasoning', FULL, 400_000, 128_000, '2026-03-17'],
  ['gpt-5-mini', 'GPT-5 mini (Azure)', 'reasoning', FULL, 400_000, 128_000, '2025-08-07'],
  ['gpt-4.1', 'GPT-4.1 (Azure)', 'chat', PLAIN, 1_047_576, 32_768, '2025-04-14'],
  ['gpt-4o', 'GPT-4o (Azure)', 'chat', PLAIN, 128_000, 16_384, '2024-05-13'],
  ['gpt-4o-mini', 'GPT-4o mini (Azure)', 'chat', PLAIN, 128_000, 16_384, '2024-07-18'],
  ['o4-mini', 'o4-mini (Azure)', 'reasoning', FULL, 200_000, 100_000, '2025-04-16'],
  ['text-embedding-3-small', 'Text Embedding 3 small (Azure)', 'embedding', 'embeddings', 8_192, null, '2024-01-25'],
  ['text-embedding-3-large', 'Text Embedding 3 large (Azure)', 'embedding', 'embeddings', 8_192, null, '2024-01-25'],
])

/**
 * Claude and OpenAI's models through inference profiles; `bedrock/` and any other id or ARN of one reaches it.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html
 */
export const BEDROCK = modelsOf('bedrock', [
  ['global.anthropic.claude-opus-5-5', 'Claude Opus 5.5 (Bedrock)', 'coding', FULL, 1_000_000, 128_000, '2026-09-22'],
  [
    'global.anthropic.claude-sonnet-5',
    'Claude Sonnet 5 (Bedrock)',
    'reasoning',
    FULL,
    1_000_000,
    128_000,
    '2026-06-30',
  ],
  [
    'us.anthropic.claude-sonnet-4-6',
    'Claude Sonnet 4.6 (Bedrock)',
    'reasoning',
    FULL,
    1_000_000,
    128_000,
    '2026-02-17',
  ],
  [
    'us.anthropic.claude-haiku-4-5-20251001-v1:0',
    'Claude Haiku 4.5 (Bedrock)',
    'chat',
    FULL,
    200_000,
    64_000,
    '2025-10-15',
  ],
  ['us.openai.gpt-5.6-terra', 'GPT-5.6 Terra (Bedrock)', 'reasoning', FULL, 1_050_000, 128_000, '2026-07-09'],
  [
    'openai.gpt-oss-120b-1:0',
    'gpt-oss 120B (Bedrock)',
    'reasoning',
    'chat tools reasoning',
    131_072,
    null,
    '2025-08-05',
  ],
  ['openai.gpt-oss-20b-1:0', 'gpt-oss 20B (Bedrock)', 'reasoning', 'chat tools reasoning', 131_072, null, '2025-08-05'],
])
