import { latin1, type Splice, splice } from '../bytes.ts'
import type { Adaptation } from '../dialect.ts'
import { decode, readMember, scanObject, withoutMembers } from '../json.ts'
import { withAdditions } from '../openai/additions.ts'
import { readHead, requireKind } from '../openai/shared.ts'
import { estimated, estimateTokens } from '../openai/usage.ts'
import { record, records } from '../openai-chat/values.ts'
import { type Answer, AnswerError, type Ask, type Edited, type Edits, type Wire, WireError } from '../wire.ts'
import { readAnswer as readCompletion } from './answer.ts'
import { withoutForeignThoughts } from './foreign.ts'
import { tapResponses } from './tap.ts'
import { readResponsesUsage, writeResponsesUsage } from './usage.ts'

/** OpenAI's Responses: `POST /v1/responses`, JSON and stream. */
export const openaiResponses: Wire = {
  id: 'openai-responses',
  face: 'openai',

  readAsk(body) {
    const ask = readHead(body)
    if (isSaid(ask, 'input')) requireKind(ask, 'input', ['string', 'array'])
    else if (!INSTEAD.some((name) => isSaid(ask, name))) {
      throw new WireError('Missing required parameter: "input"', 'input')
    }
    return ask
  },

  edit,
  readAnswer,
  tap: (ask) => tapResponses(ask, promptTokens),
}

/** What there is to answer without an input. */
const INSTEAD = ['prompt', 'previous_response_id', 'conversation']

const NULL = 0x6e

function isSaid({ body, members }: Ask, name: string): boolean {
  const span = members.get(name)
  return span !== undefined && body[span.start] !== NULL
}

/** Parameters that a model may refuse, by their names on the chat wire, and where they stand here. */
const PLACES: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_p: 'top_p',
  logprobs: 'top_logprobs',
  top_logprobs: 'top_logprobs',
  reasoning_effort: 'reasoning',
  parallel_tool_calls: 'parallel_tool_calls',
  tool_choice: 'tool_choice',
  frequency_penalty: 'frequency_penalty',
  presence_penalty: 'presence_penalty',
  service_tier: 'service_tier',
}

function edit(asked: Ask, { model, facts }: Edits): Edited {
  const ask = withoutForeignThoughts(asked)
  const refused = (facts?.refuses ?? []).filter((param) => isSaid(ask, PLACES[param] ?? ''))
  const adapted: Adaptation[] = refused.map((param) => ({ param, how: 'dropped' }))
  if (refused.length === 0) return { body: splice(ask.body, renamed(ask, model)), adapted }
  const body = withoutMembers(ask.body, [...new Set(refused.map((param) => PLACES[param]!))])
  return { body: splice(body, renamed({ ...ask, body, members: scanObject(body) }, model)), adapted }
}

function renamed(ask: Ask, model: string): Splice[] {
  if (model === ask.model) return []
  const { start, end } = ask.members.get('model')!
  return [{ start, end, text: JSON.stringify(model) }]
}

/** A response that failed or was cut short is an answer as long as it has any output. */
function readAnswer(bytes: Uint8Array, ask: Ask): Answer {
  const text = latin1(bytes)
  const value = parse(text)
  if (!Array.isArray(value.output)) throw new AnswerError(`The answer has no "output": ${text.slice(0, 300)}`)
  const isEmpty = value.output.length === 0
  if (isEmpty && isSomething(value.error)) throw new AnswerError(`An error: ${text.slice(0, 300)}`)
  const said = readResponsesUsage(value.usage)
  // A response in the background has not used anything yet.
  const usage = said ?? estimated(promptTokens(ask), isEmpty ? 0 : answerTokens(bytes))
  const isEstimated = said === null
  const made = isEstimated && !isEmpty ? writeResponsesUsage(usage) : null
  return {
    usage,
    source: isEstimated ? 'estimated' : 'provider',
    withAdditions(additions) {
      if (additions === null || (made === null && isEstimated)) return text
      return withAdditions({ bytes, text, value }, { additions, made, isEstimated })
    },
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    throw new AnswerError(`The answer is no JSON: ${(error as Error).message}`)
  }
  throw new AnswerError('The answer is no JSON object')
}

function isSomething(error: unknown): boolean {
  return error !== undefined && error !== null && error !== ''
}

/** What is long and no text that the model reads. */
const NO_TEXT: ReadonlySet<string> = new Set(['file_data', 'encrypted_content', 'file_id', 'call_id', 'id'])

/** An estimate of what the model reads: input, instructions, tools, the schema to answer by. */
export function promptTokens(ask: Pick<Ask, 'body' | 'members'>): number {
  const read = (name: string): unknown => {
    const span = ask.members.get(name)
    if (span === undefined) return null
    const value = decode(ask.body, span.start, span.end)
    return JSON.parse(value, (key, member: unknown) => (NO_TEXT.has(key) ? undefined : member))
  }
  return estimateTokens([
    read('input'),
    read('instructions'),
    read('tools'),
    record(readMember(ask.body, ask.members, 'text')).format,
  ])
}

function answerTokens(bytes: Uint8Array): number {
  const answer = record(JSON.parse(decode(bytes, 0, bytes.length)))
  const [choice] = readCompletion(answer, '').choices
  const words = records(choice?.parts).flatMap((part) => [part.text, part.name, part.arguments])
  return estimateTokens(words.filter((word) => typeof word === 'string'))
}
