import { dataOf, frameEnd, splitFrames, withData } from '../sse.ts'
import type { ByteText } from '../wire.ts'
import { chatReason, isChatReason } from './finish.ts'
import { type Loose, type Mend, type Mender, mendHead, mendLogprobs, mendText } from './mend.ts'
import { mendArguments, mendContent } from './mend-message.ts'
import { type Template, templateOf, textIn } from './template.ts'
import { isRecord, textOr } from './values.ts'

interface Seen {
  /** Numbers of calls by their ids, for providers that give them none. */
  readonly calls: Map<string, number>
}

/** How a chunk of text is mended: what is before and after its text in the provider's frame and in ours. */
interface Learnt {
  readonly given: Template
  readonly shown: Template
}

/** Text and thoughts of two choices. */
const MAX_LEARNT = 4
const TEXT_KEYS = ['"content":"', '"reasoning_content":"', '"reasoning":"']

/** The chunks of one stream; frames without deviation, and those that are no chunk, keep their bytes. */
export class ChunkMender {
  readonly #mend: Mend
  readonly #seen = new Map<number, Seen>()
  #learnt: Learnt[] = []

  constructor(mend: Mend) {
    this.#mend = mend
  }

  /** Whole frames with the edits made; the same string when there are none. */
  frames(text: ByteText): ByteText {
    if (frameEnd(text, 0) === text.length) return this.#frame(text)
    let mended = ''
    let changed = false
    for (const frame of splitFrames(text)) {
      const next = this.#frame(frame)
      changed ||= next !== frame
      mended += next
    }
    return changed ? mended : text
  }

  #frame(frame: ByteText): ByteText {
    for (const { given, shown } of this.#learnt) {
      const text = textIn(frame, given)
      if (text !== null) return given === shown ? frame : shown.head + text + shown.tail
    }
    const isUsual = frame.startsWith('data: {') && frame.indexOf('\n') === frame.length - 2
    const data = isUsual ? frame.slice(6, -2) : dataOf(frame)
    if (data === null || !data.includes('{')) return frame
    let isText = false
    try {
      const { text: next } = mendText(data, this.#mend, (chunk, mender) => {
        isText = this.#isText(chunk)
        this.#chunk(chunk, mender)
      })
      const shown = next === data ? frame : isUsual ? `data: ${next}\n\n` : withData(frame, next)
      if (isText && isUsual) this.#learn(frame, shown)
      return shown
    } catch {
      return frame
    }
  }

  /** Nothing but a piece of text for a choice that has begun: what is done to it depends on nothing in it. */
  #isText({ choices, usage }: Loose): boolean {
    const list = Array.isArray(choices) ? choices : []
    const choice = list.length === 1 && isRecord(list[0]) ? list[0] : null
    if (choice === null || (usage ?? null) !== null || !this.#seen.has(choice.index as number)) return false
    const { delta } = choice
    return isRecord(delta) && Object.values(delta).every((value) => typeof value === 'string' || value === null)
  }

  #learn(frame: ByteText, next: ByteText): void {
    for (const key of TEXT_KEYS) {
      const given = templateOf(frame, key)
      const shown = next === frame ? given : templateOf(next, key)
      if (given !== null && shown !== null) this.#learnt = [{ given, shown }, ...this.#learnt].slice(0, MAX_LEARNT)
      if (given !== null) return
    }
  }

  #chunk(chunk: Loose, mender: Mender): void {
    // An error, or what nobody knows, is not to be dressed up as a chunk.
    if (chunk.error || (!Array.isArray(chunk.choices) && !isRecord(chunk.usage))) return
    mendHead(chunk, mender, 'chat.completion.chunk')
    if (!Array.isArray(chunk.choices)) mender.put(chunk, 'choices', [])
    for (const [at, choice] of (chunk.choices as unknown[]).entries()) {
      if (isRecord(choice)) this.#choice(choice as Loose, at, mender)
    }
  }

  #choice(choice: Loose, at: number, mender: Mender): void {
    if (!Number.isInteger(choice.index)) mender.put(choice, 'index', at)
    if (!isRecord(choice.delta)) mender.put(choice, 'delta', {})
    const index = choice.index as number
    const seen = this.#seen.get(index)
    const delta = choice.delta as Loose
    if (seen === undefined && delta.role !== 'assistant') mender.put(delta, 'role', 'assistant')
    else if (delta.role === null || delta.role === '') mender.cut(delta, 'role')
    const known = seen ?? { calls: new Map() }
    if (seen === undefined) this.#seen.set(index, known)
    mendDelta(delta, mender, known)
    if (isRecord(choice.logprobs)) mendLogprobs(choice.logprobs as Loose, mender)
    const reason = choice.finish_reason
    if (reason === undefined || reason === '') mender.put(choice, 'finish_reason', null)
    else if (reason !== null && !isChatReason(reason)) {
      mender.put(choice, 'finish_reason', chatReason(reason, known.calls.size > 0))
    }
  }
}

function mendDelta(delta: Loose, mender: Mender, { calls }: Seen): void {
  mendContent(delta, mender)
  if (delta.function_call === null) mender.cut(delta, 'function_call')
  if ('tool_calls' in delta && !Array.isArray(delta.tool_calls)) mender.cut(delta, 'tool_calls')
  for (const item of (delta.tool_calls ?? []) as unknown[]) {
    if (!isRecord(item)) continue
    const call = item as Loose
    const id = textOr(call.id, '')
    if (!Number.isInteger(call.index))
      mender.put(call, 'index', calls.get(id) ?? (id === '' ? last(calls) : calls.size))
    if (!calls.has(id) && id !== '') calls.set(id, call.index as number)
    if (call.type === null || call.type === '') mender.cut(call, 'type')
    if (call.id === null) mender.cut(call, 'id')
    if (isRecord(call.function)) mendArguments(call.function as Loose, mender)
    if (isRecord(call.function) && call.function.name === null) mender.cut(call.function as Loose, 'name')
  }
}

/** What has no id goes on with the call before it. */
function last(calls: ReadonlyMap<string, number>): number {
  return Math.max(0, calls.size - 1)
}
