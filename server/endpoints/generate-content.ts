import { gemini, geminiInArrays } from '../wire/gemini/wire.ts'
import type { SaidInPath } from '../wire/wire.ts'
import { callModel } from './call-model.ts'
import type { Endpoint } from './endpoint.ts'

const NAME = 'generate_content'
const METHOD = /^(?:models\/)?(.+):(generateContent|streamGenerateContent)$/
/** As Google names its system parameters: with a dollar sign or without. */
const ASKS_EVENTS = /(?:^|&)(?:\$|%24)?alt=sse(?:&|$)/i

const inEvents = callModel({ name: NAME, wire: gemini }, say)
const inArrays = callModel({ name: NAME, wire: geminiInArrays }, say)

/**
 * `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`, as Google's own clients call them: a stream
 * is a JSON array, or server-sent events with `alt=sse`
 */
export const generateContent: Endpoint = (incoming, deps, place) =>
  (ASKS_EVENTS.test(incoming.query) ? inEvents : inArrays)(incoming, deps, place)

function say(id: string): SaidInPath | null {
  const found = METHOD.exec(id)
  return found === null ? null : { model: found[1]!, stream: found[2] === 'streamGenerateContent' }
}
