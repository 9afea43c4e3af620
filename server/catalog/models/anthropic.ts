import { modelsOf } from '../model.ts'

const FULL = 'chat tools vision json_schema reasoning'

/** @see https://platform.claude.com/docs/en/models/overview */
export const ANTHROPIC = modelsOf('anthropic', [
  ['claude-fable-5-2', 'Claude Fable 5.2', 'reasoning', FULL, 1_000_000, 128_000, '2026-11-09'],
  ['claude-opus-5-5', 'Claude Opus 5.5', 'coding', FULL, 1_000_000, 128_000, '2026-09-22'],
  ['claude-sonnet-5-5', 'Claude Sonnet 5.5', 'reasoning', FULL, 1_000_000, 128_000, '2026-09-28'],
  ['claude-haiku-5-5', 'Claude Haiku 5.5', 'chat', FULL, 1_000_000, 128_000, '2026-10-07'],
  ['claude-fable-5-1', 'Claude Fable 5.1', 'reasoning', FULL, 1_000_000, 128_000, '2026-09-01'],
  ['claude-opus-5', 'Claude Opus 5', 'reasoning', FULL, 1_000_000, 128_000, '2026-07-24'],
  ['claude-sonnet-5', 'Claude Sonnet 5', 'reasoning', FULL, 1_000_000, 128_000, '2026-06-30'],
  ['claude-opus-4-7', 'Claude Opus 4.7', 'reasoning', FULL, 1_000_000, 128_000, '2026-04-16'],
  ['claude-sonnet-4-6', 'Claude Sonnet 4.6', 'reasoning', FULL, 1_000_000, 128_000, '2026-02-17'],
  ['claude-opus-4-6', 'Claude Opus 4.6', 'reasoning', FULL, 1_000_000, 128_000, '2026-02-05'],
  ['claude-haiku-4-5', 'Claude Haiku 4.5', 'chat', FULL, 200_000, 64_000, '2025-10-15'],
  ['claude-sonnet-4-5', 'Claude Sonnet 4.5', 'reasoning', FULL, 200_000, 64_000, '2025-09-29'],
])
