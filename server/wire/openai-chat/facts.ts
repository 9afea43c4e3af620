import { splice } from '../bytes.ts'
import type { Adaptation, ModelFacts } from '../dialect.ts'
import { readMember, scanObject, withoutMembers } from '../json.ts'
import type { Ask, Edited } from '../wire.ts'

const OLD = 'max_tokens'
const NEW = 'max_completion_tokens'

/** No parameters of the model's: without them there is no call. `stream_options` is the provider's affair. */
const KEPT: ReadonlySet<string> = new Set(['model', 'messages', 'prompt', 'stream', 'stream_options'])

/**
 * A request on its own wire brought to what its model takes: refused parameters go, `max_tokens` takes its newer name
 * where the old one is refused, and is never above the model's cap. The same bytes when nothing is to be done.
 * @param edited the request as it is to go out otherwise
 */
export function heedFacts(ask: Ask, edited: Edited, facts: ModelFacts): Edited {
  const { members } = ask
  const adapted: Adaptation[] = [...edited.adapted]
  const isRenamed = members.has(OLD) && !members.has(NEW) && facts.refuses.includes(OLD) && !facts.refuses.includes(NEW)
  const refused = facts.refuses.filter((name) => members.has(name) && !KEPT.has(name) && !(isRenamed && name === OLD))
  for (const param of refused) adapted.push({ param, how: 'dropped' })
  let body = refused.length === 0 ? edited.body : withoutMembers(edited.body, refused)
  const isAbove = [OLD, NEW].filter((name) => !refused.includes(name) && exceeds(ask, name, facts.maxOutputTokens))
  for (const name of isAbove) {
    const { start, end } = scanObject(body).get(name)!
    body = splice(body, [{ start, end, text: String(facts.maxOutputTokens) }])
    adapted.push({ param: name, how: 'clamped' })
  }
  if (isRenamed) {
    const { keyStart } = scanObject(body).get(OLD)!
    body = splice(body, [{ start: keyStart, end: keyStart + OLD.length + 2, text: `"${NEW}"` }])
    adapted.push({ param: OLD, how: 'renamed' })
  }
  return body === edited.body ? edited : { body, adapted }
}

function exceeds({ body, members }: Ask, name: string, cap: number | null): boolean {
  if (cap === null || !members.has(name)) return false
  const said = readMember(body, members, name)
  return typeof said === 'number' && said > cap
}
