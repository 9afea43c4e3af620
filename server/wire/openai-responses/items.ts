import type { Part } from '../model.ts'
import { type Json, record, records, textOr } from '../openai-chat/values.ts'
import { openProof } from '../proof.ts'
import { readPart } from './parts.ts'
import { fullName } from './tools.ts'

const WIRE = 'openai-responses'

/** Items of a model's turn, as a provider answers them and a caller sends them back. */

/**
 * The parts of one item. A thought's proof stands with the last part of its item: what comes after begins another.
 * @param spareId for a call that names none
 */
export function readItem(item: Json, spareId: string): Part[] {
  switch (item.type) {
    case 'message':
      return records(item.content).map(readPart)
    case 'reasoning':
      return readThought(item)
    case 'function_call':
    case 'custom_tool_call':
      return [readCall(item, spareId)]
    default:
      return [{ type: 'opaque', wire: WIRE, value: item }]
  }
}

export function readCall(item: Json, spareId: string): Part & { readonly type: 'tool-call' } {
  const id = textOr(item.call_id, '') || textOr(item.id, '') || spareId
  const name = fullName(item.namespace, textOr(item.name, ''))
  if (item.type === 'custom_tool_call') {
    return { type: 'tool-call', id, name, arguments: textOr(item.input, ''), kind: 'custom' }
  }
  // Small servers send the object itself.
  const written = typeof item.arguments === 'object' ? JSON.stringify(item.arguments ?? {}) : item.arguments
  return { type: 'tool-call', id, name, arguments: textOr(written, '') || '{}', kind: 'function' }
}

function readThought(item: Json): Part[] {
  const proof = proofIn(item)
  const parts = [
    ...records(item.summary).map((part) => ({ text: textOr(part.text, ''), summary: true })),
    ...records(item.content).map((part) => ({ text: textOr(part.text, ''), summary: false })),
  ]
  // A hidden thought is all proof; one without either says nothing.
  if (parts.length === 0) return proof === null ? [] : [{ type: 'reasoning', text: '', summary: false, proof }]
  const last = parts.length - 1
  return parts.map((part, index) => ({ type: 'reasoning', ...part, proof: index === last ? proof : null }))
}

export function proofIn(item: Json) {
  const data = textOr(item.encrypted_content, '')
  return data === '' ? null : openProof(data, WIRE)
}

/** The alternatives' list of a piece of text, wherever a dialect puts it. */
export function logprobsIn(value: unknown): readonly unknown[] {
  const list = Array.isArray(value) ? value : record(value).content
  return Array.isArray(list) ? list : []
}
