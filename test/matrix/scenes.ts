/** What the matrix plays through on every pair of wires: the same scene in each wire's own words. */
export const SCENES = ['text', 'tool', 'parallel tools', 'tool result', 'json schema', 'image', 'reasoning'] as const

export type Scene = (typeof SCENES)[number]

export const SYSTEM = 'Be brief.'
export const EARLIER = { user: 'Hi', assistant: 'Hello, how can I help?' }
export const QUESTION = 'What is the weather in Paris and in Rome? 🌍'
export const TEXT = 'Sunny – 24 °C in Paris, “rain” in Rome 🌧'
export const THOUGHT = 'The user wants two cities. Let me look.'
export const TOOL = {
  name: 'get_weather',
  description: 'The weather of a city',
  schema: {
    type: 'object',
    properties: { unit: { type: 'string', enum: ['c', 'f'] }, city: { type: 'string', description: 'Its name' } },
    required: ['city'],
    additionalProperties: false,
  },
}
export const CALLS = [
  { id: 'call_0paris0001', arguments: '{"city":"Paris"}' },
  { id: 'call_1rome00002', arguments: '{"city":"Roma \\"eterna\\"","unit":"c"}' },
]
export const RESULT = '{"celsius":24}'
export const FORMAT = {
  name: 'weather',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, celsius: { type: 'number' } },
    required: ['city', 'celsius'],
    additionalProperties: false,
  },
}
export const FORMATTED = '{"city":"Paris","celsius":24}'
/** One red pixel. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='

/** What the provider counts: all input 120, of which 100 were read from its cache; output 30, of which 12 were thought. */
export const COUNTED = { input: 120, cached: 100, output: 30, reasoning: 12 }

/** What a caller understood of an answer. */
export interface Understood {
  readonly text: string
  readonly thought: string
  readonly calls: readonly { readonly name: string; readonly arguments: unknown }[]
  /** In OpenAI's words. */
  readonly finish: string
  readonly usage: { readonly input: number; readonly cached: number; readonly output: number }
  readonly error: string | null
}

/** What a provider understood of a request. */
export interface Heard {
  readonly system: string
  /** Roles and texts in order; images, calls and results as `[image …]`, `[call …]`, `[result …]`. */
  readonly turns: readonly string[]
  readonly tools: readonly { readonly name: string; readonly schema: unknown }[]
  readonly format: unknown
  readonly thinks: boolean
  readonly stream: boolean
}

/** The calls that a scene's answer makes. */
export function callsOf(scene: Scene): typeof CALLS {
  return scene === 'tool' ? CALLS.slice(0, 1) : scene === 'parallel tools' ? CALLS : []
}

/** The text that a scene's answer says. */
export function textOf(scene: Scene): string {
  return callsOf(scene).length > 0 ? '' : scene === 'json schema' ? FORMATTED : TEXT
}

/** In pieces, as streams have it. */
export function pieces(text: string): string[] {
  const characters = [...text]
  const found: string[] = []
  for (let at = 0; at < characters.length; at += 7) found.push(characters.slice(at, at + 7).join(''))
  return found
}

export type Json = Record<string, unknown>

export function frames(events: readonly (readonly [name: string | null, data: unknown])[]): string {
  return events
    .map(([name, data]) => {
      const text = typeof data === 'string' ? data : JSON.stringify(data)
      return name === null ? `data: ${text}\n\n` : `event: ${name}\ndata: ${text}\n\n`
    })
    .join('')
}

export function eventsOf(stream: string): { readonly name: string | null; readonly data: string }[] {
  return stream
    .split('\n\n')
    .map((frame) => frame.split('\n'))
    .map((lines) => ({
      name: lines.find((line) => line.startsWith('event: '))?.slice(7) ?? null,
      data: lines
        .filter((line) => line.startsWith('data: '))
        .map((line) => line.slice(6))
        .join('\n'),
    }))
    .filter(({ data }) => data !== '')
}
