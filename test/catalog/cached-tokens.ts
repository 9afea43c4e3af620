import type { Usage } from '../../db/model/usage.ts'

export type Dialect = 'chat' | 'responses' | 'messages' | 'gemini'

/** A usage object as a provider sent or documents it, and what it comes to. */
export interface CachedCase {
  readonly what: string
  readonly provider: 'openai' | 'anthropic' | 'google' | 'deepseek'
  readonly model: string
  readonly atMs: number
  readonly dialect: Dialect
  readonly usage: object
  /** The others are zero. */
  readonly counters: Partial<Usage>
  /** By hand, from USD a million tokens: tokens x price is micro-dollars, times a million pico-dollars. */
  readonly pico: number
}

/** Noon in UTC on a working day of autumn 2026. */
export const LATER = Date.parse('2026-11-20T12:00:00Z')
const PEAK = Date.parse('2026-11-20T02:00:00Z')

/** Micro-dollars. */
const micro = (usd: number): number => Math.round(usd * 1e6)

const OPENAI = { provider: 'openai', atMs: LATER } as const
const ANTHROPIC = { provider: 'anthropic', atMs: LATER, dialect: 'messages' } as const
const GOOGLE = { provider: 'google', atMs: LATER, dialect: 'gemini' } as const
const DEEPSEEK = { provider: 'deepseek', atMs: LATER } as const

export const CASES: readonly CachedCase[] = [
  // https://platform.openai.com/docs/guides/prompt-caching; gpt-4o: 2.50 input, 1.25 cached, 10 output.
  {
    ...OPENAI,
    what: 'the example of its guide, of which most was cached',
    ...{ model: 'gpt-4o', dialect: 'chat' },
    usage: {
      ...{ prompt_tokens: 2006, completion_tokens: 300, total_tokens: 2306 },
      prompt_tokens_details: { cached_tokens: 1920 },
      completion_tokens_details: { reasoning_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
    },
    counters: { input: 86, cacheRead: 1920, output: 300 },
    // 86 x 2.50 = 215; 1 920 x 1.25 = 2 400; 300 x 10 = 3 000
    pico: micro(5_615),
  },
  // gpt-5: 1.25 input, 0.125 cached, 10 output. Recorded.
  {
    ...OPENAI,
    what: 'Responses with a part cached and most of the answer thought',
    ...{ model: 'gpt-5', dialect: 'responses' },
    usage: {
      ...{ input_tokens: 43_902, output_tokens: 4_474, total_tokens: 48_376 },
      ...{ input_tokens_details: { cached_tokens: 4_352 }, output_tokens_details: { reasoning_tokens: 3_840 } },
    },
    counters: { input: 39_550, cacheRead: 4_352, output: 4_474, reasoning: 3_840 },
    // 39 550 x 1.25 = 49 437.5; 4 352 x 0.125 = 544; 4 474 x 10 = 44 740
    pico: micro(94_721.5),
  },
  // gpt-5-mini: 0.25 input, 0.025 cached, 2 output. Recorded.
  {
    ...OPENAI,
    what: 'a snapshot by its date',
    ...{ model: 'gpt-5-mini-2025-08-07', dialect: 'responses' },
    usage: {
      ...{ input_tokens: 31_073, output_tokens: 4_416, total_tokens: 35_489 },
      ...{ input_tokens_details: { cached_tokens: 3_712 }, output_tokens_details: { reasoning_tokens: 3_712 } },
    },
    counters: { input: 27_361, cacheRead: 3_712, output: 4_416, reasoning: 3_712 },
    // 27 361 x 0.25 = 6 840.25; 3 712 x 0.025 = 92.8; 4 416 x 2 = 8 832
    pico: micro(15_765.05),
  },
  // gpt-6.1-sol: 2 input, 0.10 cached, 2.50 written, 10 output; above 272 k: 4, 0.20, 5, 15.
  {
    ...OPENAI,
    what: 'writes to the cache, which are charged',
    ...{ model: 'gpt-6.1-sol', dialect: 'responses' },
    usage: {
      ...{ input_tokens: 158, output_tokens: 32, total_tokens: 190 },
      input_tokens_details: { cache_write_tokens: 43, cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 10 },
    },
    counters: { input: 115, cacheWrite5m: 43, output: 32, reasoning: 10 },
    // 115 x 2 = 230; 43 x 2.50 = 107.5; 32 x 10 = 320
    pico: micro(657.5),
  },
  {
    ...OPENAI,
    what: 'a prompt that is long by what was cached of it',
    ...{ model: 'gpt-6.1-sol', dialect: 'responses' },
    usage: {
      ...{ input_tokens: 300_000, output_tokens: 1_000, total_tokens: 301_000 },
      input_tokens_details: { cache_write_tokens: 10_000, cached_tokens: 280_000 },
    },
    counters: { input: 10_000, cacheRead: 280_000, cacheWrite5m: 10_000, output: 1_000 },
    // 10 000 x 4 = 40 000; 280 000 x 0.20 = 56 000; 10 000 x 5 = 50 000; 1 000 x 15 = 15 000
    pico: micro(161_000),
  },

  // https://platform.claude.com/docs/en/about-claude/pricing
  // Sonnet 4.6 and 4.5: 3 input, 0.30 read, 3.75 and 6 written, 15 output. Recorded.
  {
    ...ANTHROPIC,
    what: 'reads beside a short write for five minutes',
    model: 'claude-sonnet-4-6',
    usage: {
      cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 219 },
      ...{ cache_creation_input_tokens: 219, cache_read_input_tokens: 9_116, input_tokens: 4, output_tokens: 156 },
      ...{ inference_geo: 'global', service_tier: 'standard' },
      server_tool_use: { web_fetch_requests: 0, web_search_requests: 0 },
    },
    counters: { input: 4, cacheRead: 9_116, cacheWrite5m: 219, output: 156 },
    // 4 x 3 = 12; 9 116 x 0.30 = 2 734.8; 219 x 3.75 = 821.25; 156 x 15 = 2 340
    pico: micro(5_908.05),
  },
  {
    ...ANTHROPIC,
    what: 'a first write, of which nothing could be read',
    model: 'claude-sonnet-4-5',
    usage: {
      cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 1_069 },
      ...{ cache_creation_input_tokens: 1_069, cache_read_input_tokens: 0, input_tokens: 7, output_tokens: 60 },
    },
    counters: { input: 7, cacheWrite5m: 1_069, output: 60 },
    // 7 x 3 = 21; 1 069 x 3.75 = 4 008.75; 60 x 15 = 900
    pico: micro(4_929.75),
  },
  {
    ...ANTHROPIC,
    what: 'a compaction on the way, with its write',
    model: 'claude-sonnet-4-6',
    usage: {
      cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 0 },
      ...{ cache_creation_input_tokens: 0, cache_read_input_tokens: 0, input_tokens: 229, output_tokens: 5 },
      iterations: [
        {
          ...{ type: 'compaction', cache_creation_input_tokens: 55_096, cache_read_input_tokens: 0, input_tokens: 100 },
          cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 55_096 },
          output_tokens: 131,
        },
        {
          ...{ type: 'message', cache_creation_input_tokens: 0, cache_read_input_tokens: 0, input_tokens: 229 },
          ...{ cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 0 }, output_tokens: 5 },
        },
      ],
    },
    counters: { input: 329, cacheWrite5m: 55_096, output: 136 },
    // 329 x 3 = 987; 55 096 x 3.75 = 206 610; 136 x 15 = 2 040
    pico: micro(209_637),
  },
  // The example of its guide with both lifetimes. Opus 4.5: 5 input, 0.50 read, 6.25 and 10 written, 25 output.
  {
    ...ANTHROPIC,
    what: 'writes for five minutes and for an hour in one call',
    model: 'claude-opus-4-5',
    usage: {
      ...{ input_tokens: 2_048, cache_read_input_tokens: 1_800, cache_creation_input_tokens: 248, output_tokens: 503 },
      cache_creation: { ephemeral_5m_input_tokens: 148, ephemeral_1h_input_tokens: 100 },
    },
    counters: { input: 2_048, cacheRead: 1_800, cacheWrite5m: 148, cacheWrite1h: 100, output: 503 },
    // 2 048 x 5 = 10 240; 1 800 x 0.50 = 900; 148 x 6.25 = 925; 100 x 10 = 1 000; 503 x 25 = 12 575
    pico: micro(25_640),
  },
  {
    ...ANTHROPIC,
    what: 'writes that are told without their lifetimes are for five minutes',
    model: 'claude-haiku-4-5',
    usage: { input_tokens: 3, cache_read_input_tokens: 0, cache_creation_input_tokens: 1_000, output_tokens: 10 },
    counters: { input: 3, cacheWrite5m: 1_000, output: 10 },
    // 3 x 1 = 3; 1 000 x 1.25 = 1 250; 10 x 5 = 50
    pico: micro(1_303),
  },
  // Above 200 k tokens of input, all kinds together: 6, 0.60, 7.50 and 12, 22.50.
  {
    ...ANTHROPIC,
    what: 'a prompt that is long by what was read and written of it',
    model: 'claude-sonnet-4-5',
    usage: {
      ...{
        input_tokens: 10,
        cache_read_input_tokens: 150_000,
        cache_creation_input_tokens: 50_001,
        output_tokens: 100,
      },
      cache_creation: { ephemeral_5m_input_tokens: 30_000, ephemeral_1h_input_tokens: 20_001 },
    },
    counters: { input: 10, cacheRead: 150_000, cacheWrite5m: 30_000, cacheWrite1h: 20_001, output: 100 },
    // 10 x 6 = 60; 150 000 x 0.60 = 90 000; 30 000 x 7.50 = 225 000; 20 001 x 12 = 240 012; 100 x 22.50 = 2 250
    pico: micro(557_322),
  },

  // https://ai.google.dev/gemini-api/docs/pricing
  // Gemini 2.5 Flash: 0.30 input (1 for sound), 0.03 cached, 2.50 output, thoughts included.
  {
    ...GOOGLE,
    what: 'a prompt that was cached, and an answer that was thought about',
    model: 'gemini-2.5-flash',
    usage: {
      ...{ promptTokenCount: 2_152, cachedContentTokenCount: 2_027, candidatesTokenCount: 99, thoughtsTokenCount: 50 },
      ...{ totalTokenCount: 2_301, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 2_152 }] },
      cacheTokensDetails: [{ modality: 'TEXT', tokenCount: 2_027 }],
    },
    counters: { input: 125, cacheRead: 2_027, output: 149, reasoning: 50 },
    // 125 x 0.30 = 37.5; 2 027 x 0.03 = 60.81; 149 x 2.50 = 372.5
    pico: micro(470.81),
  },
  {
    ...GOOGLE,
    what: 'sound that is fresh beside text from the cache',
    model: 'gemini-2.5-flash',
    usage: {
      ...{ promptTokenCount: 1_000, cachedContentTokenCount: 600, candidatesTokenCount: 10, totalTokenCount: 1_010 },
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 700 },
        { modality: 'AUDIO', tokenCount: 300 },
      ],
      cacheTokensDetails: [{ modality: 'TEXT', tokenCount: 600 }],
    },
    counters: { input: 100, cacheRead: 600, audioInput: 300, output: 10 },
    // 100 x 0.30 = 30; 600 x 0.03 = 18; 300 x 1 = 300; 10 x 2.50 = 25
    pico: micro(373),
  },
  // Gemini 2.5 Pro above 200 k: 2.50 input, 0.25 cached, 15 output.
  {
    ...GOOGLE,
    what: 'a long prompt, most of it cached',
    model: 'gemini-2.5-pro',
    usage: {
      ...{ promptTokenCount: 250_000, cachedContentTokenCount: 200_000 },
      ...{ candidatesTokenCount: 1_000, totalTokenCount: 251_000 },
    },
    counters: { input: 50_000, cacheRead: 200_000, output: 1_000 },
    // 50 000 x 2.50 = 125 000; 200 000 x 0.25 = 50 000; 1 000 x 15 = 15 000
    pico: micro(190_000),
  },

  // https://api-docs.deepseek.com/quick_start/pricing; V4 Pro off-peak: 0.66 miss, 0.022 hit, 1.98 output. Recorded.
  {
    ...DEEPSEEK,
    what: 'hits and misses told twice, inside the details and beside the total',
    ...{ model: 'deepseek-v4-pro', dialect: 'chat' },
    usage: {
      ...{ prompt_tokens: 495, completion_tokens: 144, total_tokens: 639 },
      ...{ prompt_tokens_details: { cached_tokens: 320 }, completion_tokens_details: { reasoning_tokens: 118 } },
      ...{ prompt_cache_hit_tokens: 320, prompt_cache_miss_tokens: 175 },
    },
    counters: { input: 175, cacheRead: 320, output: 144, reasoning: 118 },
    // 175 x 0.66 = 115.5; 320 x 0.022 = 7.04; 144 x 1.98 = 285.12
    pico: micro(407.66),
  },
  {
    ...{ ...DEEPSEEK, atMs: PEAK },
    what: 'the same at its peak hours, when everything costs twice as much',
    ...{ model: 'deepseek-v4-pro', dialect: 'chat' },
    usage: {
      ...{ prompt_tokens: 495, completion_tokens: 144, total_tokens: 639 },
      ...{ prompt_cache_hit_tokens: 320, prompt_cache_miss_tokens: 175 },
    },
    counters: { input: 175, cacheRead: 320, output: 144 },
    pico: micro(815.32),
  },
  // V4 Flash off-peak since 2026-08-17: 0.22 miss, 0.007 hit, 0.66 output. Recorded.
  {
    ...DEEPSEEK,
    what: 'Responses',
    ...{ model: 'deepseek-v4-flash', dialect: 'responses' },
    usage: {
      ...{ input_tokens: 180, output_tokens: 40, total_tokens: 220 },
      ...{ input_tokens_details: { cached_tokens: 128 }, output_tokens_details: { reasoning_tokens: 38 } },
    },
    counters: { input: 52, cacheRead: 128, output: 40, reasoning: 38 },
    // 52 x 0.22 = 11.44; 128 x 0.007 = 0.896; 40 x 0.66 = 26.4
    pico: micro(38.736),
  },
]
