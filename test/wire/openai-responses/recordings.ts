import { existsSync, readFileSync } from 'node:fs'

/** Real exchanges with providers that speak Responses; none where the recordings are not at hand. */
const ROOT = new URL('../../../../shared/data/exchanges/', import.meta.url)

export type Json = Record<string, unknown>

export interface Exchange {
  readonly id: string
  readonly request: { readonly path: string; readonly body: Json | null }
  readonly response: { readonly status: number; readonly body: string }
}

export function recordings(): Exchange[] {
  if (!existsSync(ROOT)) return []
  const { fixtures }: { fixtures: { file: string; api: string }[] } = JSON.parse(
    readFileSync(new URL('index.json', ROOT), 'utf8'),
  )
  const ours = fixtures.filter(({ api }) => api === 'responses')
  return ours.map(({ file }): Exchange => JSON.parse(readFileSync(new URL(file, ROOT), 'utf8')))
}

export const ALL = recordings()
/** One recording holds two events that are no JSON, one two streams. */
const BROKEN = /parallel-tool-call-wrapper\.1\.stream|shell-tool\.1\.stream/
/** Here somebody has shortened what was streamed, or taken the output out of the last event. */
export const SHORTENED = /openai-phase|shell-container\.1|id-rotation/
export const ANSWERED = ALL.filter(({ id, response }) => response.status === 200 && !BROKEN.test(id))
export const isStream = ({ response }: Exchange) => /^(?::|event:|data:)/.test(response.body)
export const STREAMS = ANSWERED.filter(isStream)
export const WHOLE = ANSWERED.filter((exchange) => !isStream(exchange))
/** Requests of over 60 kB were not kept. */
export const ASKED = ALL.filter(
  ({ request }) => request.body?.model !== undefined && request.body._omitted === undefined,
)
