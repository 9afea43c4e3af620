import { expect } from 'vitest'
import type { Completion, Delta, Part, StreamEvent } from '../../../server/wire/model.ts'

/** What a canonical stream comes to, put together the way that model.ts says its events are to be read. */
export type Accumulated = Pick<Completion, 'id' | 'model' | 'createdAtS' | 'choices' | 'usage'>

interface Draft {
  readonly parts: Part[]
  isOpen: boolean
  finish: Completion['choices'][number]['finish'] | null
  logprobs: { content: unknown[] } | null
}

/**
 * Holds a stream to the contract of StreamEvent, and gives what it says.
 * @param isWhole false for a stream that was cut or failed: it has no end.
 */
export function accumulate(events: readonly StreamEvent[], isWhole = true): Accumulated {
  const choices = new Map<number, Draft>()
  const [first, ...rest] = events
  if (first?.type !== 'start') throw new Error(`The stream begins with ${first?.type}`)
  let usage: Completion['usage'] = null
  let isOver = false
  for (const event of rest) {
    if (isOver) throw new Error(`${event.type} after the end`)
    if (event.type === 'start') throw new Error('It starts twice')
    if (event.type === 'usage') usage = event.usage
    else if (event.type === 'end' || event.type === 'error') isOver = true
    else {
      const draft = choices.get(event.choice) ?? { parts: [], isOpen: false, finish: null, logprobs: null }
      choices.set(event.choice, draft)
      add(draft, event)
    }
  }
  expect(isOver, 'the stream ends').toBe(isWhole || events.at(-1)?.type === 'error')
  for (const draft of choices.values()) {
    if (events.at(-1)?.type !== 'error') expect(draft.isOpen, 'a part is left open').toBe(false)
    expect(draft.finish !== null, 'each choice finishes').toBe(isWhole)
  }
  const { id, model, createdAtS } = first
  const finished = Array.from(choices).toSorted(([a], [b]) => a - b)
  return {
    id,
    model,
    createdAtS,
    usage,
    choices: finished.map(([, { parts, finish, logprobs }]) => ({
      parts,
      finish: finish ?? { reason: 'stop', stopSequence: null },
      logprobs,
    })),
  }
}

type ChoiceEvent = Extract<StreamEvent, { readonly choice: number }>

function add(draft: Draft, event: ChoiceEvent): void {
  if (draft.finish !== null) throw new Error(`${event.type} after the choice has finished`)
  if (event.type === 'finish') {
    if (draft.isOpen) throw new Error('It finishes inside a part')
    draft.finish = event.finish
    return
  }
  if (event.type === 'part') {
    if (draft.isOpen) throw new Error('A part begins inside another')
    expect(event.index, 'parts are numbered in order').toBe(draft.parts.length)
    draft.parts.push(event.part)
    draft.isOpen = true
    return
  }
  if (!draft.isOpen || event.index !== draft.parts.length - 1) throw new Error(`${event.type} outside its part`)
  if (event.type === 'part-end') draft.isOpen = false
  else {
    draft.parts.push(grown(draft.parts.pop()!, event.delta))
    if (event.delta.logprobs !== undefined) {
      const { content } = event.delta.logprobs as { content: unknown[] }
      draft.logprobs = { content: [...(draft.logprobs?.content ?? []), ...content] }
    }
  }
}

function grown(part: Part, { text = '', citations = [], proof }: Delta): Part {
  switch (part.type) {
    case 'text': {
      const all = [...(part.citations ?? []), ...citations]
      return { ...part, text: part.text + text, ...(all.length > 0 ? { citations: all } : {}) }
    }
    case 'reasoning':
      return { ...part, text: part.text + text, proof: proof ?? part.proof }
    case 'refusal':
      return { ...part, text: part.text + text }
    case 'tool-call':
      return { ...part, arguments: part.arguments + text }
    default:
      throw new Error(`A ${part.type} part can't grow`)
  }
}
