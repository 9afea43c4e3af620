import { fromLatin1, fromText, latin1, type Splice } from '../bytes.ts'
import type { Adaptation } from '../dialect.ts'
import { TokenEstimator } from '../estimate.ts'
import { cutMember, scanObject } from '../json.ts'
import { estimated } from '../openai/usage.ts'
import { AnswerError, type Ask, type Edited, type Edits, type Wire } from '../wire.ts'
import { readMessagesAsk } from './ask.ts'
import { dropCacheMarks, setCacheMarks, spliced } from './cache.ts'
import { estimateMessages } from './estimate.ts'
import { tapAnthropic } from './stream.ts'
import { readAnthropicUsage } from './usage.ts'
import { isRecord, type Json, parsed, records } from './values.ts'

/** Anthropic's Messages: `POST /v1/messages`, JSON and stream, in both published versions of the API. */
export const anthropicMessages: Wire = {
  id: 'anthropic-messages',
  face: 'anthropic',
  readAsk: readMessagesAsk,
  edit: editMessages,
  readAnswer(bytes, ask) {
    const text = latin1(bytes)
    const message = readMessage(text)
    const said = readAnthropicUsage(message.usage)
    const usage = said ?? estimated(estimateMessages(ask), answerTokens(message))
    // Answers of this wire carry no additions: SDKs that check what they read would fall over them.
    return { usage, source: said === null ? 'estimated' : 'provider', withAdditions: () => text }
  },
  tap: tapAnthropic,
}

/** Members that a model may refuse, by their names on OpenAI's chat wire. */
const REFUSABLE: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_p: 'top_p',
  top_k: 'top_k',
  stop: 'stop_sequences',
  service_tier: 'service_tier',
}

function editMessages(ask: Ask, { model, facts = null, promptCache = 'respect' }: Edits): Edited {
  const adapted: Adaptation[] = []
  let kept = ask
  for (const param of facts?.refuses ?? []) {
    const name = REFUSABLE[param]
    if (name === undefined || !kept.members.has(name)) continue
    const body = spliced(kept, [cutMember(kept.members, name)])
    kept = { ...kept, body, members: scanObject(body) }
    adapted.push({ param, how: 'dropped' })
  }
  const splices: Splice[] = []
  if (model !== ask.model) {
    const { start, end } = kept.members.get('model')!
    splices.push({ start, end, text: JSON.stringify(model) })
  }
  if (promptCache === 'auto') splices.push(...setCacheMarks(kept))
  if (promptCache === 'off') splices.push(...dropCacheMarks(kept))
  return { body: spliced(kept, splices), adapted }
}

/** Parsed byte for character: the structure and all that is ASCII are right, which is all that is read of it. */
function readMessage(text: string): Json {
  const message = parsed(text)
  if (!isRecord(message)) throw new AnswerError('The answer is no JSON object')
  if (message.type === 'error') throw new AnswerError(`An error: ${text.slice(0, 300)}`)
  if (!Array.isArray(message.content)) throw new AnswerError(`The answer has no "content": ${text.slice(0, 300)}`)
  return message
}

function answerTokens(message: Json): number {
  const words = new TokenEstimator()
  for (const { text, thinking, name, input } of records(message.content)) {
    for (const piece of [text, thinking, name]) if (typeof piece === 'string') words.add(fromLatin1(piece))
    if (input !== undefined) words.add(fromText(JSON.stringify(input)))
  }
  return words.tokens
}
