import type { Additions, Ask, Metered, Wire } from '../../server/wire/wire.ts'

export const bytesOf = (text: string): Uint8Array => Buffer.from(text)
export const jsonBytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

export const ADDITIONS: Additions = {
  cached: false,
  costUsd: '0.0000345',
  latencyMs: 12.3,
  provider: 'openai',
  modelUsed: 'gpt-4o-mini',
  route: 'pinned',
  watchllmTokens: 35,
}

/** What a stream has become on its way through a tap. */
export interface Followed {
  /** What was passed on before the end. */
  readonly passed: string
  /** The last words, when the stream is complete. */
  readonly last: string
  readonly metered: Metered
  readonly done: boolean
  readonly finished: boolean
  readonly begun: boolean
  readonly failure: string | null
}

/** Feeds the pieces to a new tap as the relay does, until it has heard enough. */
export function follow(
  wire: Wire,
  ask: Ask,
  { pieces, additions = null }: { pieces: Iterable<Uint8Array>; additions?: Additions | null },
): Followed {
  const tap = wire.tap(ask)
  const passed: Uint8Array[] = []
  const keep = (bytes: Uint8Array | null) => bytes !== null && passed.push(bytes)
  for (const piece of pieces) {
    keep(tap.push(piece))
    if (tap.done || tap.failure !== null) break
  }
  if (!tap.done && tap.failure === null) keep(tap.end())
  const { done, finished, begun, failure } = tap
  const isComplete = finished && failure === null
  const last = isComplete ? Buffer.from(tap.finish(additions)).toString('latin1') : ''
  const metered = tap.metered()
  return { passed: Buffer.concat(passed).toString('latin1'), last, metered, done, finished, begun, failure }
}

/** The bytes cut at those places. */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places, bytes.length]
  return ends.map((end, at) => bytes.subarray(at === 0 ? 0 : ends[at - 1], end))
}

export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/** Reads server-sent events as a browser does, from whole bytes of text. */
export function eventsOf(byteText: string): ServerEvent[] {
  const text = Buffer.from(byteText, 'latin1')
    .toString()
    .replace(/^\ufeff/, '')
  const events: ServerEvent[] = []
  let event = ''
  let data: string[] = []
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line)!
    if (field === 'event') event = value!
    if (field === 'data') data.push(value!)
    if (line !== '') continue
    if (data.length > 0) events.push({ event, data: data.join('\n') })
    event = ''
    data = []
  }
  return events
}

/** The chunks of a stream, parsed; `[DONE]` stays text. */
export function chunksOf(byteText: string): unknown[] {
  return eventsOf(byteText).map(({ data }) => (data.trim() === '[DONE]' ? '[DONE]' : JSON.parse(data)))
}

/** Nothing but the additions' comments: what is known late where no chunk can carry it. */
export function lateWords(byteText: string): Record<string, unknown>[] {
  const text = Buffer.from(byteText, 'latin1').toString()
  return Array.from(text.matchAll(/^: watchllm ([^\n]*)$/gm), (found) => JSON.parse(found[1]!))
}
