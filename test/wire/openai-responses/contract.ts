import { expect } from 'vitest'
import type { ProviderDialect } from '../../../server/wire/dialect.ts'
import type { Citation, Delta, Part, Proof, StreamEvent } from '../../../server/wire/model.ts'
import { dataOf, eventOf, splitFrames } from '../../../server/wire/sse.ts'

/** What a dialect makes of a whole stream, its end included. */
export function eventsFrom(dialect: ProviderDialect, text: string): StreamEvent[] {
  const reader = dialect.readStream('req_1')
  const events: StreamEvent[] = []
  for (const frame of splitFrames(text)) {
    const data = dataOf(frame)
    if (data !== null) events.push(...reader.read(eventOf(frame), data))
  }
  return [...events, ...reader.close()]
}

/**
 * Holds events to the contract of the canonical model: `start` first; parts of a choice numbered from 0, each ended
 * before the next begins; `finish` after the parts of its choice; `end` or `error` last, unless the stream was cut.
 */
export function expectContract(events: readonly StreamEvent[], where: string): void {
  const state = new Map<number, { next: number; open: boolean; finished: boolean }>()
  events.forEach((event, at) => {
    expect(at === 0, `${where}: ${event.type} at ${at}`).toBe(event.type === 'start')
    if (event.type === 'end' || event.type === 'error') expect(at, `${where}: ${event.type}`).toBe(events.length - 1)
    if (!('choice' in event)) return
    const choice = state.get(event.choice) ?? { next: 0, open: false, finished: false }
    state.set(event.choice, choice)
    expect(choice.finished, `${where}: ${event.type} after finish`).toBe(false)
    if (event.type === 'finish') choice.finished = true
    if (event.type === 'part') {
      expect({ index: event.index, open: choice.open }, where).toEqual({ index: choice.next, open: false })
      choice.open = true
    }
    if (event.type === 'delta' || event.type === 'part-end') {
      expect({ index: event.index, open: choice.open }, where).toEqual({ index: choice.next, open: true })
    }
    if (event.type === 'part-end') {
      choice.open = false
      choice.next += 1
    }
  })
  for (const choice of state.values()) expect(choice.open, `${where}: a part is left open`).toBe(false)
  if (events.at(-1)?.type === 'end') {
    for (const choice of state.values()) expect(choice.finished, `${where}: no finish`).toBe(true)
  }
}

/** The parts that a stream's events add up to, of its first choice. */
export function partsFrom(events: readonly StreamEvent[]): Part[] {
  const parts: Part[] = []
  for (const event of events) {
    if (event.type === 'part' && event.choice === 0) parts[event.index] = event.part
    if (event.type === 'delta' && event.choice === 0) parts[event.index] = added(parts[event.index]!, event.delta)
  }
  return parts
}

interface Growing {
  text?: string
  arguments?: string
  citations?: readonly Citation[]
  proof?: Proof | null
}

function added(part: Part, delta: Delta): Part {
  const grown: Growing = { ...(part as Growing) }
  if (delta.text !== undefined && part.type === 'tool-call') grown.arguments += delta.text
  else if (delta.text !== undefined) grown.text += delta.text
  if (delta.citations !== undefined) grown.citations = [...(grown.citations ?? []), ...delta.citations]
  if (delta.proof !== undefined) grown.proof = delta.proof
  return grown as Part
}

/** A part in a short form to compare by. */
export function short(part: Part): string {
  switch (part.type) {
    case 'text': {
      const places = (part.citations ?? []).map((one) =>
        one.type === 'url' ? `${one.url} ${one.start}-${one.end}` : 'opaque',
      )
      return `text:${part.text}${places.length === 0 ? '' : ` [${places.join(', ')}]`}`
    }
    case 'refusal':
      return `refusal:${part.text}`
    case 'reasoning':
      return `${part.summary ? 'summary' : 'thought'}:${part.text}${part.proof === null ? '' : ` <${part.proof.data}>`}`
    case 'tool-call':
      return `${part.kind === 'custom' ? 'custom' : 'call'}:${part.id} ${part.name} ${part.arguments}`
    case 'opaque':
      return `opaque:${(part.value as { type: string }).type}`
    default:
      return part.type
  }
}
