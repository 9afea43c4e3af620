import type { StreamContext } from '../dialect.ts'
import { readMember } from '../json.ts'
import { flagOr, isRecord, type Json, numberOr, record, records, textOr } from '../openai-chat/values.ts'

/** What a response repeats of its request, with the API's defaults where nothing was said. */

/** Ids that the wire demands are made from the call's. */
export function suffixOf(callId: string): string {
  return callId.replace(/^req_/, '')
}

/** The id of the response to a call. */
export function responseId(callId: string): string {
  return `resp_${suffixOf(callId)}`
}

export interface Echo {
  readonly members: Json
  /** Tools whose argument is plain text, by name. */
  readonly tools: readonly Json[]
  /** The caller wants to see thoughts as summaries. */
  readonly wantsSummary: boolean
}

export function echoOf({ ask }: Pick<StreamContext, 'ask'>): Echo {
  const read = (name: string): unknown => (ask.members.has(name) ? readMember(ask.body, ask.members, name) : undefined)
  const tools = records(read('tools'))
  const wish = record(read('reasoning'))
  const summary = wish.summary ?? wish.generate_summary ?? null
  const user = read('user')
  const members = {
    background: flagOr(read('background'), false),
    conversation: conversationOf(read('conversation')),
    instructions: read('instructions') ?? null,
    max_output_tokens: numberOr(read('max_output_tokens'), null),
    max_tool_calls: numberOr(read('max_tool_calls'), null),
    parallel_tool_calls: flagOr(read('parallel_tool_calls'), true),
    previous_response_id: textOr(read('previous_response_id'), null),
    prompt_cache_key: textOr(read('prompt_cache_key'), null),
    reasoning: { ...wish, effort: wish.effort ?? null, summary },
    safety_identifier: textOr(read('safety_identifier'), null),
    store: flagOr(read('store'), true),
    temperature: numberOr(read('temperature'), 1),
    text: textIn(record(read('text'))),
    tool_choice: read('tool_choice') ?? 'auto',
    tools: tools.map(wholeTool),
    top_logprobs: numberOr(read('top_logprobs'), 0),
    top_p: numberOr(read('top_p'), 1),
    frequency_penalty: numberOr(read('frequency_penalty'), 0),
    presence_penalty: numberOr(read('presence_penalty'), 0),
    truncation: textOr(read('truncation'), 'disabled'),
    ...(typeof user === 'string' ? { user } : {}),
    metadata: record(read('metadata')),
  }
  return { members, tools, wantsSummary: summary !== null && summary !== 'none' }
}

function conversationOf(value: unknown): object | null {
  const id = isRecord(value) ? value.id : value
  return typeof id === 'string' ? { id } : null
}

function textIn(text: Json): Json {
  const format = record(text.format)
  const shown =
    format.type === 'json_schema'
      ? { ...format, description: format.description ?? null, strict: format.strict ?? true }
      : { ...format, type: format.type ?? 'text' }
  return { ...text, format: shown, verbosity: text.verbosity ?? 'medium' }
}

/** Functions are shown with all their members. */
function wholeTool(tool: Json): Json {
  if (tool.type !== 'function') return tool
  const { description = null, parameters = null, strict = true } = tool
  return { ...tool, description, parameters, strict }
}
