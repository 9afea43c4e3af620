import { asBuffer } from './bytes.ts'

/** Members of requests that name what a provider keeps for an account: files and stores of vectors. */
const NAMES: ReadonlySet<string> = new Set(['file_id', 'file_ids', 'vector_store_id', 'vector_store_ids'])
/** What every such name has in it, and how a letter may be hidden in JSON. */
const SIGNS = ['file_id', 'vector_store_id'].map((text) => Buffer.from(text))
const HIDDEN = /\\u00[2-7]/

/**
 * Ids of objects at a provider that a JSON body asks for, in no order. What a model said before may name files that its
 * tools have made; those are shown, not asked for. Bodies without any are only searched, not read.
 */
export function objectIdsIn(body: Uint8Array): readonly string[] {
  const bytes = asBuffer(body)
  const mayHave =
    SIGNS.some((sign) => bytes.includes(sign)) || (bytes.includes('\\u00') && HIDDEN.test(bytes.toString('latin1')))
  if (!mayHave) return []
  const found = new Set<string>()
  const rest: unknown[] = [withoutSaid(parsed(bytes))]
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next !== 'object' || next === null) continue
    for (const [name, value] of Object.entries(next)) {
      if (NAMES.has(name)) for (const id of [value].flat()) if (typeof id === 'string') found.add(id)
      rest.push(value)
    }
  }
  return [...found]
}

/** Where a request has its turns. */
const TURNS = ['messages', 'input']

/** The request without the answers that it sends back; nothing else in it can call itself one. */
function withoutSaid(request: unknown): unknown {
  if (typeof request !== 'object' || request === null) return request
  const rest: Record<string, unknown> = { ...request }
  for (const name of TURNS) {
    const turns = rest[name]
    if (Array.isArray(turns)) rest[name] = turns.filter((turn) => !isSaid(turn))
  }
  return rest
}

/** A turn of the assistant's, or a call of a tool that runs at the provider. */
function isSaid(turn: unknown): boolean {
  if (typeof turn !== 'object' || turn === null) return false
  const { role, type } = turn as { role?: unknown; type?: unknown }
  return role === undefined ? typeof type === 'string' && type.endsWith('_call') : role === 'assistant'
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    // No JSON: multipart bodies of files are uploads, they name nothing.
    return null
  }
}
