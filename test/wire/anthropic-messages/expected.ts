import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'

/** What must be read out of each fixture of `test/fixtures/anthropic-messages`. */
export interface Expected {
  /** Null where the provider has not said it all and we estimate. */
  readonly usage: Usage | null
  readonly finished: boolean
  /** Words that the failure for the log must contain. */
  readonly failure?: string
}

function used(input: number, output: number, more: Partial<Usage> = {}): Usage {
  return { ...NO_USAGE, input, output, ...more }
}

export const STREAMS: Readonly<Record<string, Expected>> = {
  text: { usage: used(21, 12), finished: true },
  'output-only-delta': { usage: used(14, 6), finished: true },
  'growing-input': { usage: used(61, 2), finished: true },
  'zero-start': { usage: used(25, 7, { cacheRead: 12 }), finished: true },
  'thinking-and-tools': { usage: used(480, 131, { reasoning: 40 }), finished: true },
  'hidden-thinking': { usage: used(33, 57, { reasoning: 50 }), finished: true },
  'web-search-citations': { usage: used(10_682, 510), finished: true },
  'cache-counters': {
    usage: used(10, 9, { cacheRead: 1200, cacheWrite5m: 2000, cacheWrite1h: 3000 }),
    finished: true,
  },
  compaction: { usage: used(60_180, 520), finished: true },
  refusal: { usage: used(18, 5), finished: true },
  pause: { usage: used(90, 30), finished: true },
  'stop-sequence': { usage: used(9, 8), finished: true },
  'no-message-stop': { usage: used(21, 4), finished: true },
  'no-last-blank-line': { usage: used(21, 4), finished: true },
  'cut-inside-a-frame': { usage: null, finished: false },
  'cut-before-the-end': { usage: null, finished: false },
  'error-in-the-middle': { usage: null, finished: false, failure: 'overloaded_error' },
  'error-first': { usage: null, finished: false, failure: 'Internal server error' },
  crlf: { usage: used(11, 8), finished: true },
  'no-event-names': { usage: used(11, 2), finished: true },
  'spaced-json': { usage: used(21, 19), finished: true },
  'unknown-events': { usage: used(11, 3), finished: true },
  quoted: { usage: used(44, 70), finished: true },
  'beyond-bmp': { usage: used(31, 27), finished: true },
  restarted: { usage: used(17, 30), finished: true },
}

export const ANSWERS: Readonly<Record<string, Usage | null>> = {
  text: used(12, 9),
  'thinking-and-tools': used(480, 131, { reasoning: 40 }),
  'hidden-thinking': used(33, 57, { reasoning: 50 }),
  'web-search-citations': used(10_682, 510),
  'cache-counters': used(10, 9, { cacheRead: 1200, cacheWrite5m: 2000, cacheWrite1h: 3000 }),
  compaction: used(280, 151, { cacheWrite5m: 55_096 }),
  refusal: used(18, 5),
  'no-usage': null,
}

/** What a stream lacks that is complete all the same: the gateway makes up for it. */
export const MISSING: Readonly<Record<string, string>> = {
  'no-message-stop': 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  'no-last-blank-line': '\n\n',
}
