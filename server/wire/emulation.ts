import { isRecord, parsed, textOr } from './anthropic-messages/values.ts'

/**
 * What Messages has no word for, said by tools whose names tell what they stand for: readers of the answer know nothing of
 * the request.
 */

/** Called by force where the model can't keep to a schema otherwise: its input is the answer. */
export const ANSWER_TOOL = 'watchllm_answer'
/** Before the name of a tool whose argument is plain text. */
export const TEXT_TOOL = 'watchllm_text_'
/** The one property of such a tool. */
export const TEXT_PROPERTY = 'input'

export const TEXT_SCHEMA = {
  type: 'object',
  properties: { [TEXT_PROPERTY]: { type: 'string' } },
  required: [TEXT_PROPERTY],
  additionalProperties: false,
}

/** The text that a text tool was called with; what the model wrote when that is something else. */
export function textArgument(json: string): string {
  const input = parsed(json)
  return (isRecord(input) ? textOr(input[TEXT_PROPERTY]) : null) ?? json
}

/** For a model that keeps to no schema: the words that ask for JSON. */
export function jsonInstruction(schema: object | null): string {
  const form = schema === null ? '' : ` that is valid against this JSON Schema: ${JSON.stringify(schema)}`
  return `Answer with one JSON ${schema === null ? 'object' : 'value'}${form}. Write nothing before or after it, and no code fence.`
}
