import { modelsOf } from '../model.ts'

const FULL = 'chat tools vision audio json_schema reasoning'

/** @see https://ai.google.dev/gemini-api/docs/models */
export const GOOGLE = modelsOf('google', [
  // Input and output share one limit: no answer has one of its own.
  ['gemini-4-argon', 'Gemini 4 Argon', 'reasoning', FULL, 1_048_576, null, '2026-10-13'],
  ['gemini-3.8-flash', 'Gemini 3.8 Flash', 'reasoning', FULL, 1_048_576, 65_536, '2026-09-02'],
  ['gemini-3.5-flash', 'Gemini 3.5 Flash', 'reasoning', FULL, 1_048_576, 65_536, '2026-05-19', '2026-10-08'],
  ['gemini-3.1-pro-preview', 'Gemini 3.1 Pro', 'reasoning', FULL, 1_048_576, 65_536, '2026-02-19'],
  ['gemini-3.1-flash-lite', 'Gemini 3.1 Flash-Lite', 'chat', FULL, 1_048_576, 65_536, '2026-03-03'],
  ['gemini-3-flash-preview', 'Gemini 3 Flash', 'reasoning', FULL, 1_048_576, 65_536, '2025-12-17'],
  ['gemini-2.5-pro', 'Gemini 2.5 Pro', 'reasoning', FULL, 1_048_576, 65_536, '2025-06-17'],
  ['gemini-2.5-flash', 'Gemini 2.5 Flash', 'chat', FULL, 1_048_576, 65_536, '2025-06-17'],
  ['gemini-2.5-flash-lite', 'Gemini 2.5 Flash-Lite', 'chat', FULL, 1_048_576, 65_536, '2025-07-22'],
  ['gemini-embedding-001', 'Gemini Embedding', 'embedding', 'embeddings', 2_048, null, '2025-07-14'],
])
