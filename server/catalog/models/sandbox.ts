import { modelsOf } from '../model.ts'

const RELEASED = '2026-11-01'

/** What `lgw_test_` keys reach: answered in this process, free. See server/providers/sandbox.ts. */
export const SANDBOX = modelsOf('sandbox', [
  [
    'sandbox/chat',
    'Sandbox Chat',
    'chat',
    'chat completions tools vision audio json_schema',
    128_000,
    16_384,
    RELEASED,
  ],
  [
    'sandbox/reasoning',
    'Sandbox Reasoning',
    'reasoning',
    'chat tools vision json_schema reasoning',
    128_000,
    16_384,
    RELEASED,
  ],
  [
    'sandbox/echo',
    'Sandbox Echo: repeats the last user message',
    'chat',
    'chat completions',
    128_000,
    16_384,
    RELEASED,
  ],
  ['sandbox/slow', 'Sandbox Slow: takes seconds', 'chat', 'chat completions', 128_000, 16_384, RELEASED],
  ['sandbox/cut', 'Sandbox Cut: breaks off half-way', 'chat', 'chat completions', 128_000, 16_384, RELEASED],
  ['sandbox/error-429', 'Sandbox Error 429', 'chat', 'chat completions', 128_000, 16_384, RELEASED],
  ['sandbox/error-500', 'Sandbox Error 500', 'chat', 'chat completions', 128_000, 16_384, RELEASED],
  ['sandbox/embedding', 'Sandbox Embedding (1536)', 'embedding', 'embeddings', 8_192, null, RELEASED],
])
