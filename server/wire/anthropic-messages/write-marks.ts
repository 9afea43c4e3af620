import type { Notes } from './notes.ts'
import type { Block } from './write-parts.ts'
import type { Turn } from './write-turns.ts'

/** Cache marks of a request that is written anew. */

export interface Marked {
  readonly tools: readonly Block[]
  readonly system: readonly Block[]
  readonly turns: readonly Turn[]
}

/** As many as the API takes. */
const MOST = 4

/** Marks behind the tools, the system prompt and the last two turns of the user, when there are none. */
export function autoMarks(marked: Marked): void {
  if (allMarks(marked).length > 0) return
  const users = marked.turns.filter(({ role }) => role === 'user').slice(-2)
  const early = marked.tools.filter((tool) => tool.defer_loading !== true)
  for (const block of [early.at(-1), marked.system.at(-1), ...users.map(({ content }) => content.at(-1))]) {
    if (block !== undefined) block.cache_control = { type: 'ephemeral' }
  }
}

/** Only the last marks stay when there are too many: each covers what comes before it. */
export function keepFour(marked: Marked, notes: Notes): void {
  const all = allMarks(marked)
  if (all.length <= MOST) return
  for (const block of all.slice(0, -MOST)) delete block.cache_control
  notes.add('cache_control', 'dropped')
}

function allMarks({ tools, system, turns }: Marked): Block[] {
  const blocks = [...tools, ...system, ...turns.flatMap(({ content }) => content)]
  const inner = blocks.flatMap(({ content }) => (Array.isArray(content) ? (content as Block[]) : []))
  return [...blocks, ...inner].filter(({ cache_control: mark }) => mark !== undefined && mark !== null)
}
