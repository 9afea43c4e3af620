import type { Choice, Completion, Delta, Part, StreamEvent } from '../../../server/wire/model.ts'

/** What a stream of canonical events comes to. */
export interface Gathered {
  readonly id: string | null
  readonly model: string | null
  readonly choices: Choice[]
  readonly usage: Completion['usage']
  readonly error: string | null
}

interface Building {
  readonly parts: Part[]
  isOpen: boolean
  finish: Choice['finish'] | null
  logprobs: { content: unknown[] } | null
}

/**
 * Reads events by their contract alone, and throws at whatever breaks it: start first, parts numbered and one after the
 * other, deltas for the open part, one finish a choice after its parts, nothing after the end.
 */
export function gather(events: readonly StreamEvent[]): Gathered {
  const choices = new Map<number, Building>()
  const [start, ...rest] = events
  // Nothing has begun: another provider can still be asked.
  if (start?.type === 'error' && rest.length === 0) {
    return { id: null, model: null, choices: [], usage: null, error: start.error.message }
  }
  if (start?.type !== 'start') throw new Error(`The first event is ${start?.type}`)
  const last = rest.at(-1)
  let usage: Completion['usage'] = null
  for (const event of rest) {
    if ((event.type === 'end' || event.type === 'error') && event !== last) throw new Error(`${event.type} is not last`)
    if (event.type === 'start') throw new Error('A second start')
    if (event.type === 'usage') usage = event.usage
    if ('choice' in event) add(event, choices)
  }
  const built = [...choices].sort(([a], [b]) => a - b).map(([, choice]) => choice)
  if (last?.type === 'end' && built.some(({ finish }) => finish === null)) throw new Error('A choice has no finish')
  const error = last?.type === 'error' ? last.error.message : null
  if (error === null && built.some(({ isOpen }) => isOpen)) throw new Error('A part is never ended')
  return {
    id: start.id,
    model: start.model,
    usage,
    error,
    choices: built.map(({ parts, finish, logprobs }) => ({ parts, finish: finish!, logprobs })),
  }
}

function add(event: Extract<StreamEvent, { readonly choice: number }>, choices: Map<number, Building>): void {
  const choice = choices.get(event.choice) ?? { parts: [], isOpen: false, finish: null, logprobs: null }
  choices.set(event.choice, choice)
  if (choice.finish !== null) throw new Error(`${event.type} after the finish`)
  if (event.type === 'finish') {
    if (choice.isOpen) throw new Error('A finish inside a part')
    choice.finish = event.finish
    return
  }
  if (event.type === 'part') {
    if (choice.isOpen) throw new Error('A part inside a part')
    if (event.index !== choice.parts.length) throw new Error(`Part ${event.index} is number ${choice.parts.length}`)
    choice.parts.push(event.part)
    choice.isOpen = true
    return
  }
  if (!choice.isOpen || event.index !== choice.parts.length - 1) throw new Error(`${event.type} for no open part`)
  if (event.type === 'part-end') choice.isOpen = false
  else {
    choice.parts[event.index] = grown(choice.parts[event.index]!, event.delta)
    const { content } = (event.delta.logprobs ?? {}) as { content?: unknown[] }
    if (content) choice.logprobs = { content: [...(choice.logprobs?.content ?? []), ...content] }
  }
}

function grown(part: Part, { text = '', citations, proof }: Delta): Part {
  switch (part.type) {
    case 'text':
      if (citations === undefined) return { ...part, text: part.text + text }
      return { ...part, text: part.text + text, citations: [...(part.citations ?? []), ...citations] }
    case 'reasoning':
      return { ...part, text: part.text + text, proof: proof ?? part.proof }
    case 'refusal':
      return { ...part, text: part.text + text }
    case 'tool-call':
      return { ...part, arguments: part.arguments + text }
    default:
      throw new Error(`A delta for ${part.type}`)
  }
}
