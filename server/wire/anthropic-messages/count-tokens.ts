import { NO_USAGE } from '../../../db/model/usage.ts'
import { fromText, latin1 } from '../bytes.ts'
import { AnswerError, type StreamTap, type Wire } from '../wire.ts'
import { readCountAsk } from './ask.ts'
import { estimateMessages } from './estimate.ts'
import { isRecord, parsed } from './values.ts'
import { anthropicMessages } from './wire.ts'

/** Anthropic's `POST /v1/messages/count_tokens`: how long a prompt is, without an answer. It is never charged for. */
export const anthropicCountTokens: Wire = {
  id: 'anthropic-count-tokens',
  face: 'anthropic',
  readAsk: (body) => ({ ...readCountAsk(body), stream: false }),
  edit: anthropicMessages.edit,
  readAnswer(bytes) {
    const text = latin1(bytes)
    const said = parsed(text)
    if (!isRecord(said) || typeof said.input_tokens !== 'number') {
      throw new AnswerError(`The answer has no "input_tokens": ${text.slice(0, 300)}`)
    }
    return { usage: NO_USAGE, source: 'provider', withAdditions: () => text }
  },
  tap(): StreamTap {
    throw new AnswerError('A count of tokens is no stream')
  },
}

/** Our own count of a prompt, where the model's provider has none: an estimate. @throws WireError */
export function countedAnswer(body: Uint8Array): Uint8Array {
  return fromText(JSON.stringify({ input_tokens: estimateMessages(readCountAsk(body)) }))
}
