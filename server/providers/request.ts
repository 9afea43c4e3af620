import { fromText, splice } from '../wire/bytes.ts'
import { scanObject, withoutMembers } from '../wire/json.ts'
import type { WireId } from '../wire/wire.ts'
import type { BodyQuirk, Provider, WirePath, WirePaths } from './provider.ts'

export interface Wanted {
  /** The provider's own id of the model. */
  readonly model: string
  readonly stream: boolean
  /** What the operator set under `provider.dated.variable`; null: nothing. */
  readonly version?: string | null
}

/** The wires that a provider speaks, those of text in order of preference. @param version as in `Wanted` */
export function wiresSpoken(provider: Provider, version: string | null): readonly WireId[] {
  return Object.keys(pathsOf(provider, version)) as WireId[]
}

function pathsOf(provider: Provider, version: string | null): WirePaths {
  return provider.dated === undefined || version === null ? provider.wires : provider.dated.wires
}

/**
 * A wire's path under the provider's base URL, query included; null when the provider doesn't speak it, and for a model
 * whose id would be no segment of a path (`..`).
 */
export function pathOf(provider: Provider, wire: WireId, wanted: Wanted): string | null {
  const path = pathsOf(provider, wanted.version ?? null)[wire]
  return path === undefined ? null : filled(path, wanted)
}

function filled(path: WirePath, { model, stream, version }: Wanted): string | null {
  const chosen = typeof path === 'string' ? path : stream ? path.stream : path.whole
  if (!chosen.includes('{')) return chosen
  if (/^\.{0,2}$/.test(model)) return null
  return chosen.replace(/\{(model|version)\}/g, (_, name) =>
    encodeURIComponent(name === 'model' ? model : (version ?? '')),
  )
}

/**
 * A JSON object with a provider's named edits; all else stays as it was, in its order.
 * @param header reads one header of the caller's request by its lower-case name
 * @throws WireError when the body is no JSON object
 */
export function shaped(body: Uint8Array, quirk: BodyQuirk, header: (name: string) => string | null): Uint8Array {
  const members: Record<string, unknown> = { ...quirk.plus }
  for (const [name, member] of Object.entries(quirk.lists)) {
    const list = listed(header(name))
    if (list.length > 0) members[member] = list
  }
  const rest = withoutMembers(body, [...quirk.without, ...Object.keys(members)])
  const front = JSON.stringify(members).slice(1, -1)
  if (front === '') return rest
  const first = [...scanObject(rest).values()].reduce((least, { keyStart }) => Math.min(least, keyStart), Infinity)
  if (first === Infinity) return fromText(`{${front}}`)
  return splice(rest, [{ start: first, end: first, text: `${front},` }])
}

function listed(text: string | null): string[] {
  if (text === null) return []
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
