import { GatewayError } from './errors.ts'
import { decode, scanObject, withoutMembers } from './wire/json.ts'
import type { Ask, WireId } from './wire/wire.ts'

/** The wires whose requests may name models to fall back on. */
export const FALLBACK_WIRES: ReadonlySet<WireId> = new Set<WireId>([
  'openai-chat',
  'openai-completions',
  'openai-responses',
  'anthropic-messages',
])

/** OpenRouter's member, which many clients have taken over: models to try after `model`, in this order. */
const MEMBER = 'models'
const MOST = 8
const LONGEST_NAME = 256
/** Eight of the longest names with room to spare: more isn't parsed. */
const MOST_BYTES = 16_384

const NONE: readonly string[] = Object.freeze([])

/**
 * The models that a request says may answer instead of its own, each once, without its own. Costs a request that names
 * none one look. @throws GatewayError `invalid_request` naming `models` unless it is a list of at most 8 names, or null
 */
export function fallbackModelsIn({ body, members, model }: Ask): readonly string[] {
  const span = members.get(MEMBER)
  if (span === undefined) return NONE
  if (span.end - span.start > MOST_BYTES) throw bad()
  const value: unknown = JSON.parse(decode(body, span.start, span.end))
  if (value === null) return NONE
  if (!Array.isArray(value) || value.length > MOST || !value.every(isName)) throw bad()
  return [...new Set(value)].filter((name) => name !== model)
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME
}

function bad(): GatewayError {
  return new GatewayError('invalid_request', `"${MEMBER}" must be an array of at most ${MOST} names of models`, {
    param: MEMBER,
  })
}

/** The request without the models to fall back on: nobody but OpenRouter takes the member. The same where it has none. */
export function withoutFallbacks(ask: Ask): Ask {
  if (!ask.members.has(MEMBER)) return ask
  const body = withoutMembers(ask.body, [MEMBER])
  return { ...ask, body, members: scanObject(body) }
}
