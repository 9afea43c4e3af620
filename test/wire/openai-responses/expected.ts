import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'

/** What must be read out of each stream of test/fixtures/openai-responses. */
export interface Expected {
  /** Null where the provider says nothing and we estimate. */
  readonly usage: Usage | null
  /** The terminal event came, and was an answer. */
  readonly done: boolean
  /** Words that the failure for the log must contain. */
  readonly failure: string | null
  /** The parts of the answer in a short form: `text:…`, `call:id name arguments`. */
  readonly parts: readonly string[]
  readonly finish: string | null
}

interface Short {
  readonly usage?: Usage | null
  readonly failure?: string
  readonly cut?: boolean
  readonly finish?: string
}

function used(input: number, output: number, more: Partial<Usage> = {}): Usage {
  return { ...NO_USAGE, input, output, ...more }
}

function is(
  parts: readonly string[],
  { usage = used(11, 7), failure, cut = false, finish = 'stop' }: Short = {},
): Expected {
  const isOver = failure === undefined && !cut
  return { usage, parts, failure: failure ?? null, done: isOver, finish: isOver ? finish : null }
}

const GREETING = 'text:Grüß dich, Welt 👋'

export const EXPECTED: Readonly<Record<string, Expected>> = {
  'background.sse': is([GREETING]),
  'crlf.sse': is(['text:One\r\ntwo']),
  'custom-tool.sse': is(['custom:call_p apply_patch *** Begin Patch\n*** End Patch'], { finish: 'tool-calls' }),
  'cut.sse': is([GREETING], { usage: null, cut: true }),
  'error-flat.sse': is([], { usage: null, failure: 'insufficient_quota' }),
  'error-nested.sse': is(['text:Half a'], { usage: null, failure: 'context_length_exceeded' }),
  'failed-first.sse': is([], { usage: null, failure: 'Slow down' }),
  'failed-late.sse': is(['text:Half a'], { usage: used(11, 2) }),
  'id-rotation.sse': is(['summary:Hmm', 'text:Three.'], { usage: used(19, 105, { reasoning: 44 }) }),
  'incomplete.sse': is(['text:Once upon'], { usage: used(11, 16), finish: 'length' }),
  'interleaved.sse': is(['thought:Two and two.', 'text:4', 'thought: <late-proof>'], {
    usage: used(70, 30, { reasoning: 20 }),
  }),
  'logprobs.sse': is(['text:Hi!']),
  'no-last-blank-line.sse': is([GREETING]),
  'no-usage.sse': is([GREETING], { usage: null }),
  'only-the-end.sse': is(['text:Said once.']),
  'quoted.sse': is([
    'text:event: response.completed\ndata: {"type":"response.completed"}\n\n"delta":"x", "error", response.failed',
  ]),
  'reasoning-hidden.sse': is(['thought: <gAAAAAB-two>', 'call:call_a now {"zone":"UTC"}'], {
    usage: used(60, 50, { reasoning: 44 }),
    finish: 'tool-calls',
  }),
  'reasoning-summary.sse': is(['summary:**Weighing**', 'summary:Both are true. <gAAAAAB-one>', 'text:Yes.'], {
    usage: used(12, 50, { cacheRead: 32, cacheWrite5m: 16, reasoning: 44 }),
  }),
  'reasoning-text.sse': is(['thought:The user asks.', 'call:call_77 weather {"at":"Bern"}'], {
    usage: used(178, 61, { cacheRead: 2, reasoning: 48 }),
    finish: 'tool-calls',
  }),
  'refusal.sse': is(["refusal:I can't help."], { finish: 'refusal' }),
  'spaced-json.sse': is(['text:One two "delta":"no"']),
  'text.sse': is([GREETING]),
  'tools-parallel.sse': is(
    ['text:Let me look.', 'call:call_a get_weather {"city":"Zürich"}', 'call:call_b get_time {}'],
    { usage: used(16, 40, { cacheRead: 64 }), finish: 'tool-calls' },
  ),
  'two-parts.sse': is(['text:One.', 'text: Two.']),
  'web-search.sse': is(['opaque:web_search_call', 'text:Lima [https://example.com/lima 0-4]'], {
    usage: used(300, 12),
  }),
  'whole-items.sse': is(['text:All at once.', 'call:call_z go {"n":1}'], { usage: null, finish: 'tool-calls' }),
}
