import type { Json, Scene, Understood } from './scenes.ts'

/** A caller as it speaks one wire: its requests by hand, and how it understands what comes back. */
export interface Client {
  readonly name: string
  /** Two where streams have a path of their own. */
  readonly path: string | { readonly whole: string; readonly stream: string }
  readonly headers: Readonly<Record<string, string>>
  /** Why this wire has no words for a scene; null: it has. */
  cannot(scene: Scene): string | null
  body(scene: Scene): Json
  whole(answer: Json): Understood
  stream(text: string): Understood
}

export const NOTHING: Understood = {
  text: '',
  thought: '',
  calls: [],
  finish: '',
  usage: { input: 0, cached: 0, output: 0 },
  error: null,
}

export const needsTools = (scene: Scene) => ['tool', 'parallel tools', 'tool result'].includes(scene)

/** Without the members that were left out. */
export const cut = (value: Json): Json =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined))
