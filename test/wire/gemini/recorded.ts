import { existsSync, readFileSync } from 'node:fs'

/** Real exchanges with Gemini, on Google's own API and on Vertex; none where the recordings are not at hand. */
const ROOT = new URL('../../../../shared/data/exchanges/', import.meta.url)

export type Json = Record<string, unknown>

export interface Exchange {
  readonly id: string
  readonly request: { readonly path: string; readonly body: Json | null }
  readonly response: { readonly status: number; readonly body: string }
}

export function recorded(): Exchange[] {
  if (!existsSync(ROOT)) return []
  const index = JSON.parse(readFileSync(new URL('index.json', ROOT), 'utf8'))
  const { fixtures } = index as { fixtures: { file: string; api: string }[] }
  const ours = fixtures.filter(({ api }) => api === 'gemini')
  const all = ours.map(({ file }): Exchange => JSON.parse(readFileSync(new URL(file, ROOT), 'utf8')))
  // Another API of Google's, over WebSocket.
  return all.filter(({ id }) => !id.includes('live-speech'))
}

export const isStream = ({ response }: Exchange) => response.body.startsWith('data:')

/** The chunks of a stream, or the one answer. */
export function chunksIn({ response }: Exchange): Json[] {
  if (!response.body.startsWith('data:')) return [JSON.parse(response.body)]
  const lines = response.body.split(/\r?\n/).filter((line) => line.startsWith('data:'))
  return lines.map((line) => JSON.parse(line.slice(5)))
}

/** The model that a path names. */
export function modelIn({ request }: Exchange): string {
  return /\/models\/([^:]+):/.exec(request.path)?.[1] ?? 'gemini'
}

/** The parts of all chunks' first candidates. */
export function partsIn(exchange: Exchange): Json[] {
  return chunksIn(exchange).flatMap((chunk) => {
    const [candidate] = (chunk.candidates ?? []) as { content?: { parts?: Json[] } }[]
    return candidate?.content?.parts ?? []
  })
}
