import { Buffer } from 'node:buffer'
import { asBuffer, splice } from '../bytes.ts'
import { readMember, scanObject } from '../json.ts'
import { isRecord, textOr } from '../openai-chat/values.ts'
import { openProof } from '../proof.ts'
import type { Ask } from '../wire.ts'

const WIRE = 'openai-responses'
/** How a proof of another wire begins; cheaper to look for than to parse every input. */
const SEALED = Buffer.from('"watchllm.')

/**
 * The request without thoughts that a provider of another wire has proven: no provider of this one can read them, and
 * all refuse what they can't. The same bytes where there are none.
 */
export function withoutForeignThoughts(ask: Ask): Ask {
  const span = ask.members.get('input')
  if (span === undefined || !asBuffer(ask.body.subarray(span.start, span.end)).includes(SEALED)) return ask
  const input = readMember(ask.body, ask.members, 'input')
  if (!Array.isArray(input)) return ask
  const own = input.filter((item: unknown) => !isForeign(item))
  if (own.length === input.length) return ask
  const body = splice(ask.body, [{ start: span.start, end: span.end, text: JSON.stringify(own) }])
  return { ...ask, body, members: scanObject(body) }
}

function isForeign(item: unknown): boolean {
  if (!isRecord(item) || item.type !== 'reasoning') return false
  const proof = textOr(item.encrypted_content, '')
  return proof !== '' && openProof(proof, WIRE).wire !== WIRE
}
