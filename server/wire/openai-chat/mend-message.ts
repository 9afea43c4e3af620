import type { Loose, Mender } from './mend.ts'
import { thinkingText } from './messages.ts'
import { isRecord, records, textOr } from './values.ts'

/** A whole message in place. */
export function mendMessage(message: Loose, mender: Mender): void {
  if (message.role !== 'assistant') mender.put(message, 'role', 'assistant')
  if (message.content === undefined) mender.put(message, 'content', null)
  mendContent(message, mender)
  if (typeof message.refusal !== 'string' && message.refusal !== null) mender.put(message, 'refusal', null)
  for (const name of ['annotations', 'tool_calls']) {
    if (name in message && !Array.isArray(message[name])) mender.cut(message, name)
  }
  if (message.function_call === null) mender.cut(message, 'function_call')
  const calls = (message.tool_calls ?? []) as unknown[]
  for (const [at, call] of calls.entries()) if (isRecord(call)) mendCall(call as Loose, at, mender)
}

/** Mistral's list of parts as one string, its thoughts as `reasoning_content`. */
export function mendContent(message: Loose, mender: Mender): void {
  if (!Array.isArray(message.content)) return
  const parts = records(message.content)
  const thought = parts.filter(({ type }) => type === 'thinking').map(({ thinking }) => thinkingText(thinking))
  const said = parts.map(({ text }) => textOr(text, ''))
  mender.put(message, 'content', said.join(''))
  if (thought.length > 0) mender.put(message, 'reasoning_content', thought.join(''))
}

function mendCall(call: Loose, at: number, mender: Mender): void {
  if (typeof call.id !== 'string' || call.id === '') mender.put(call, 'id', `call_${mender.mend.callId}_${at}`)
  if (call.type === 'custom' && isRecord(call.custom)) return
  if (call.type !== 'function') mender.put(call, 'type', 'function')
  if (!isRecord(call.function)) return
  mendArguments(call.function as Loose, mender)
  if (call.function.arguments === undefined) mender.put(call.function as Loose, 'arguments', '{}')
}

/** Arguments are JSON as text, never the value itself. */
export function mendArguments(called: Loose, mender: Mender): void {
  if (called.arguments === null) mender.cut(called, 'arguments')
  else if (typeof called.arguments === 'object') mender.put(called, 'arguments', JSON.stringify(called.arguments))
}
