import { toByteText } from '../bytes.ts'
import { decodeLatin1 } from '../openai/chunk.ts'
import type { ByteText, Wire } from '../wire.ts'
import { chatReason, chatTier, isChatReason } from './finish.ts'
import { mendMessage } from './mend-message.ts'
import { isRecord } from './values.ts'

/**
 * Answers of providers that copy OpenAI's chat and stray from its schema, brought back to it by named edits: what lacks
 * is put in, what is null where it must not be goes, other words become OpenAI's. Members that the schema doesn't know
 * stay. An answer without deviation keeps its bytes.
 */
export interface Mend {
  /** The call's own id, `req_…`: ids that the provider forgot are made from it. */
  readonly callId: string
  readonly createdAtS: number
  /** The model's name when the provider gives none. */
  readonly model: string
}

/** A wire whose providers may stray. */
export interface MendingWire extends Wire {
  /** The same wire for one call to a provider whose answers need mending. */
  mended(mend: Mend): Wire
}

export type Loose = Record<string, unknown>

/** Edits values in place and remembers that it did. */
export class Mender {
  changed = false
  readonly mend: Mend

  constructor(mend: Mend) {
    this.mend = mend
  }

  put(target: Loose, name: string, value: unknown): void {
    target[name] = value
    this.changed = true
  }

  /** Takes the member out, if it is there. */
  cut(target: Loose, name: string): void {
    if (!(name in target)) return
    delete target[name]
    this.changed = true
  }
}

/** A whole answer; what is no answer stays as it is, for its reader to refuse. */
export function mendAnswer(text: ByteText, mend: Mend): Mended {
  try {
    return mendText(text, mend, (value, mender) => {
      if (!Array.isArray(value.choices)) return
      mendHead(value, mender, 'chat.completion')
      if (value.usage === null) mender.cut(value, 'usage')
      for (const [at, choice] of value.choices.entries()) if (isRecord(choice)) mendChoice(choice as Loose, at, mender)
    })
  } catch {
    return { text, value: null }
  }
}

/** JSON as byte text, and the object that it is; null when it is none. */
export interface Mended {
  readonly text: ByteText
  readonly value: Loose | null
}

/**
 * JSON as byte text with the edits made, or the same text when there are none. It is read and written byte for
 * character, which only escapes like `\u00e9` forbid.
 * @throws SyntaxError for what is no JSON
 */
export function mendText(text: ByteText, mend: Mend, edit: (value: Loose, mender: Mender) => void): Mended {
  const mender = new Mender(mend)
  const isEscaped = text.includes('\\u')
  const value: unknown = JSON.parse(isEscaped ? decodeLatin1(text) : text)
  if (!isRecord(value)) return { text, value: null }
  edit(value as Loose, mender)
  if (!mender.changed) return { text, value: value as Loose }
  const written = JSON.stringify(value)
  return { text: isEscaped ? toByteText(written) : written, value: value as Loose }
}

/** What answers and chunks have in common. */
export function mendHead(value: Loose, mender: Mender, object: string): void {
  const { callId, createdAtS, model } = mender.mend
  if (typeof value.id !== 'string' || value.id === '')
    mender.put(value, 'id', `chatcmpl-${callId.replace(/^req_/, '')}`)
  if (value.object !== object) mender.put(value, 'object', object)
  if (!Number.isInteger(value.created)) {
    mender.put(value, 'created', typeof value.created === 'number' ? Math.trunc(value.created) : createdAtS)
  }
  if (typeof value.model !== 'string' || value.model === '') mender.put(value, 'model', model)
  if ('system_fingerprint' in value && typeof value.system_fingerprint !== 'string') {
    mender.cut(value, 'system_fingerprint')
  }
  const tier = value.service_tier ?? null
  if (tier !== null && chatTier(tier) !== tier) mender.put(value, 'service_tier', chatTier(tier))
  if (isRecord(value.usage)) mendUsage(value.usage as Loose, mender)
}

function mendUsage(usage: Loose, mender: Mender): void {
  for (const name of ['prompt_tokens_details', 'completion_tokens_details']) {
    const details = usage[name]
    if (details === null) mender.cut(usage, name)
    if (!isRecord(details)) continue
    for (const [counter, count] of Object.entries(details)) if (count === null) mender.cut(details as Loose, counter)
  }
}

function mendChoice(choice: Loose, at: number, mender: Mender): void {
  if (!Number.isInteger(choice.index)) mender.put(choice, 'index', at)
  if (!isRecord(choice.message)) mender.put(choice, 'message', {})
  const message = choice.message as Loose
  mendMessage(message, mender)
  if (!isRecord(choice.logprobs)) {
    if (choice.logprobs !== null) mender.put(choice, 'logprobs', null)
  } else mendLogprobs(choice.logprobs as Loose, mender)
  if (isChatReason(choice.finish_reason)) return
  const hasCalls = Array.isArray(message.tool_calls) && message.tool_calls.length > 0
  mender.put(choice, 'finish_reason', chatReason(choice.finish_reason, hasCalls))
}

/** Two lists, each of them said. */
export function mendLogprobs(logprobs: Loose, mender: Mender): void {
  for (const name of ['content', 'refusal']) if (logprobs[name] === undefined) mender.put(logprobs, name, null)
}
