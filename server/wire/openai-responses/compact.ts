import { Buffer } from 'node:buffer'
import { splice } from '../bytes.ts'
import { readMember, scanObject } from '../json.ts'
import { isRecord, record, said } from '../openai-chat/values.ts'
import { COMPACTION_SEAL, contentOf, isMessage, itemsOfInput, openCompaction, userMessage } from './state.ts'

/** `POST /v1/responses/compact` on any provider: a model sums the conversation up, and its summary stands for it. */

/** What a model is asked so that a long conversation can go on from its answer alone. */
const COMPACT = `Write a handover of this conversation for a colleague who continues it and has read none of it.
Name what the user wants in the end, each decision with its reason, what has been done and with what result, names, paths,
identifiers and figures exactly as they are, what is open, and the next step. Leave out courtesies. Answer with the
handover alone.`

/**
 * The request that makes the summary for `POST /v1/responses/compact`, as a body of Responses for any provider.
 * Instructions become the first message, since the task is another now; tools are gone, so that calls can only be read.
 * @param body the compaction request, its history already in `input` @throws WireError when it is no JSON object
 */
export function compactPrompt(body: Uint8Array): Uint8Array {
  const { model, input, instructions, prompt_cache_key, service_tier } = record(
    JSON.parse(Buffer.from(body).toString()),
  )
  const told = typeof instructions === 'string' ? [{ type: 'message', role: 'developer', content: instructions }] : []
  const asked = {
    model,
    input: [...told, ...itemsOfInput(input), userMessage(COMPACT)],
    prompt_cache_key,
    service_tier,
  }
  return Buffer.from(JSON.stringify({ ...said(asked), store: false }))
}

export interface Compacted {
  readonly id: string
  readonly createdAtS: number
  /** The text of the model's answer to `compactPrompt`. */
  readonly summary: string
  /** The usage object of that answer. */
  readonly usage: unknown
}

/** The answer of `POST /v1/responses/compact`: what users said stays, all else becomes one compaction item. */
export function compaction(input: unknown, { id, createdAtS, summary, usage }: Compacted): object {
  const kept = itemsOfInput(input).filter((item) => isMessage(item) && item.role === 'user')
  const suffix = id.replace(/^\w+_/, '')
  const messages = kept.map((item, index) => {
    return { id: `msg_${suffix}_${index}`, ...item, type: 'message', status: 'completed', content: contentOf(item) }
  })
  const encrypted_content = COMPACTION_SEAL + Buffer.from(summary).toString('base64url')
  const output = [...messages, { id: `cmp_${suffix}`, type: 'compaction', encrypted_content }]
  return { id, object: 'response.compaction', created_at: createdAtS, output, usage }
}

/** The request with our own compactions as messages, for a provider that is to read them; the same bytes without any. */
export function withOpenCompactions(body: Uint8Array): Uint8Array {
  const members = scanObject(body)
  const input = readMember(body, members, 'input')
  if (!Array.isArray(input)) return body
  const texts = input.map((item: unknown) =>
    isRecord(item) && item.type === 'compaction' ? openCompaction(item) : null,
  )
  if (texts.every((text) => text === null)) return body
  const opened = input.map((item: unknown, index) => (texts[index] == null ? item : userMessage(texts[index])))
  const { start, end } = members.get('input')!
  return splice(body, [{ start, end, text: JSON.stringify(opened) }])
}
