import { NO_USAGE } from '../../../db/model/usage.ts'
import { fromText, latin1 } from '../bytes.ts'
import { readMember, scanObject } from '../json.ts'
import { record } from '../openai-chat/values.ts'
import { AnswerError, type StreamTap, type Wire, WireError } from '../wire.ts'
import { promptTokens } from './wire.ts'

/** OpenAI's `POST /v1/responses/input_tokens`: how long a prompt is, without an answer. It is never charged for. */
export const openaiInputTokens: Wire = {
  id: 'openai-input-tokens',
  face: 'openai',

  /** Nothing is required, not even a model. */
  readAsk(body) {
    const members = scanObject(body)
    const model = readMember(body, members, 'model') ?? ''
    if (typeof model !== 'string' || model.length > 256) {
      throw new WireError('"model" must be a string of at most 256 characters', 'model')
    }
    return { body, members, model, stream: false, wantsUsage: false, endUser: null }
  },

  edit: ({ body }) => ({ body, adapted: [] }),

  readAnswer(bytes) {
    const text = latin1(bytes)
    if (typeof record(JSON.parse(text)).input_tokens !== 'number') {
      throw new AnswerError(`The answer has no "input_tokens": ${text.slice(0, 300)}`)
    }
    return { usage: NO_USAGE, source: 'provider', withAdditions: () => text }
  },

  tap(): StreamTap {
    throw new AnswerError('A count of tokens is no stream')
  },
}

/** Our own count of a prompt: an estimate. @throws WireError */
export function countedInput(body: Uint8Array): Uint8Array {
  const input_tokens = promptTokens({ body, members: scanObject(body) })
  return fromText(JSON.stringify({ object: 'response.input_tokens', input_tokens }))
}
