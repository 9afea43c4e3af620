import { finished, type Steps } from './steps.ts'

/**
 * What a stream said, put together: a name or a number may be spread over many of its events, where no pattern finds it.
 */
export interface Said {
  readonly object: 'watchllm.stream'
  readonly events: number
  readonly said: readonly { readonly at: string; readonly text: string }[]
  /** The last event that has more to tell than text: how it ended, and what it used. */
  readonly last: unknown
}

/** Members that carry a piece of what is said, in any dialect. */
const PIECES: ReadonlySet<string> = new Set([
  'content',
  'text',
  'delta',
  'partial_json',
  'arguments',
  'thinking',
  'reasoning',
  'reasoning_content',
  'refusal',
  'transcript',
  'input',
  'name',
])
/** Gemini's arguments come whole, as an object. */
const OBJECTS: ReadonlySet<string> = new Set(['args'])
/** What tells the parts of an answer apart, in events that carry a piece of one. */
const PLACES = ['output_index', 'content_index', 'summary_index', 'index'] as const
const MAX_DEPTH = 32
const MAX_PATHS = 2000
const EVENTS_A_STEP = 16
/** Characters of one, counted for less than they are: reading JSON is quick. */
const USUAL_EVENT = 64

/**
 * @param text of a stream: server-sent events, or an array of JSON objects; its end may be missing
 * @returns null when no event of it can be read
 */
export function saidIn(text: string): Said | null {
  return finished(saidSteps(text))
}

export function* saidSteps(text: string): Steps<Said | null> {
  const said = new Map<string, string[]>()
  let events = 0
  let last: unknown = null
  for (const event of eventsIn(text)) {
    if (events++ % EVENTS_A_STEP === 0) yield EVENTS_A_STEP * USUAL_EVENT
    last = event
    collect(event, { said, path: placeOf(event), depth: 0 })
  }
  if (events === 0) return null
  const parts = Array.from(said, ([at, pieces]) => ({ at, text: pieces.join('') }))
  return { object: 'watchllm.stream', events, said: parts, last }
}

function* eventsIn(text: string): Generator<object> {
  if (text.trimStart().startsWith('[')) {
    for (const event of arrayIn(text)) if (isObject(event)) yield event
    return
  }
  for (let from = 0; from < text.length; ) {
    const found = text.indexOf('\n', from)
    const end = found < 0 ? text.length : found
    const event = text.startsWith('data:', from) ? parsed(text.slice(from + 5, end)) : null
    if (isObject(event)) yield event
    from = end + 1
  }
}

/** One that is cut has its last objects missing: those before are on lines of their own or can't be read. */
function arrayIn(text: string): readonly unknown[] {
  const whole = parsed(text)
  if (Array.isArray(whole)) return whole
  const end = text.lastIndexOf('\n,')
  const begun = end < 0 ? null : parsed(`${text.slice(0, end)}]`)
  return Array.isArray(begun) ? begun : []
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function placeOf(event: object): string {
  const places = PLACES.flatMap((name) => {
    const value = (event as Readonly<Record<string, unknown>>)[name]
    return typeof value === 'number' ? [`${name}=${value}`] : []
  })
  const { type } = event as { readonly type?: unknown }
  return [...(typeof type === 'string' ? [type] : []), ...places].join(' ')
}

interface Walk {
  readonly said: Map<string, string[]>
  readonly path: string
  readonly depth: number
}

function collect(value: object, { said, path, depth }: Walk): void {
  if (depth > MAX_DEPTH) return
  for (const [name, one] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${indexOf(one, name)}]` : path === '' ? name : `${path}.${name}`
    if (typeof one === 'string' && PIECES.has(name)) add(said, at, one)
    else if (isObject(one) && OBJECTS.has(name)) add(said, at, JSON.stringify(one))
    else if (isObject(one)) collect(one, { said, path: at, depth: depth + 1 })
  }
}

/** Pieces of choices and tool calls say themselves which they belong to. */
function indexOf(one: unknown, position: string): string {
  const index = isObject(one) ? (one as { readonly index?: unknown }).index : undefined
  return typeof index === 'number' ? String(index) : position
}

function add(said: Map<string, string[]>, at: string, piece: string): void {
  const pieces = said.get(at)
  if (pieces !== undefined) pieces.push(piece)
  else if (said.size < MAX_PATHS) said.set(at, [piece])
}
