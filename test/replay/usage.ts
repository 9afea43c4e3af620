import type { Api, Json } from './recordings.ts'

/** Totals of tokens as a recording's own words say them: all that went in, all that came out. */
export interface Totals {
  readonly input: number
  readonly output: number
}

/* biome-ignore lint/suspicious/noExplicitAny: providers' own words, read by hand */
type Any = any

/** What the provider said, read by nothing but its documentation; null when it said nothing. */
export function totalsOf(api: Api, answer: Json): Totals | null {
  const { usage, usageMetadata: meta }: Any = answer
  if (api === 'gemini') return meta?.totalTokenCount === undefined ? null : geminiTotals(meta)
  if (usage === undefined || usage === null) return null
  if (api === 'messages') {
    // A compaction is a pass of its own, which the outer counters leave out; other passes are other models' tokens.
    const compactions = (usage.iterations ?? []).filter(({ type }: Any) => type === 'compaction')
    return sum([usage, ...compactions].map(messageTotals))
  }
  if (api === 'responses') return { input: usage.input_tokens, output: usage.output_tokens }
  const input = usage.prompt_tokens ?? usage.total_tokens - (usage.completion_tokens ?? 0)
  // xAI and Gemini's OpenAI dialect count thoughts beside the completion: only the total has them.
  return { input, output: (usage.total_tokens ?? input + usage.completion_tokens) - input }
}

function sum(passes: readonly Totals[]): Totals {
  const [input, output] = [0, 0]
  return passes.reduce((all, pass) => ({ input: all.input + pass.input, output: all.output + pass.output }), {
    input,
    output,
  })
}

function messageTotals(usage: Any): Totals {
  const { input_tokens = 0, cache_creation_input_tokens, cache_read_input_tokens, output_tokens } = usage
  const cached = (cache_creation_input_tokens ?? 0) + (cache_read_input_tokens ?? 0)
  return { input: input_tokens + cached, output: output_tokens }
}

function geminiTotals(meta: Any): Totals {
  return {
    input: (meta.promptTokenCount ?? 0) + (meta.toolUsePromptTokenCount ?? 0),
    output: (meta.candidatesTokenCount ?? 0) + (meta.thoughtsTokenCount ?? 0),
  }
}

/** The totals of a stream: what was said last counts, in Messages each counter by itself. */
export function streamTotalsOf(api: Api, chunks: readonly Json[]): Totals | null {
  if (api === 'messages') {
    let usage: Json = {}
    for (const chunk of chunks as Any[]) {
      const said = chunk.type === 'message_start' ? chunk.message.usage : chunk.usage
      usage = { ...usage, ...Object.fromEntries(Object.entries(said ?? {}).filter(([, value]) => value !== null)) }
    }
    return totalsOf(api, { usage })
  }
  if (api === 'responses') {
    const last: Any = chunks.findLast((chunk: Any) => chunk.response?.usage)
    return last === undefined ? null : totalsOf(api, last.response)
  }
  const last = chunks.findLast((chunk: Any) => chunk.usage || chunk.usageMetadata || chunk.x_groq?.usage)
  return last === undefined ? null : totalsOf(api, { usage: (last as Any).x_groq?.usage, ...last })
}
