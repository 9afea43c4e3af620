import type { Control, Deps } from '../deps.ts'

/** Times of use are written together, this long after the first of them. */
const BATCH_MS = 5_000

export interface TokenUses {
  note(tokenId: string, atMs: number): void
}

const ofDeps = new WeakMap<Deps, TokenUses>()

/** When tokens were used, noted in memory and written in batches: a call costs no write. */
export function tokenUses(deps: Deps & { readonly control: Control }): TokenUses {
  const known = ofDeps.get(deps)
  if (known !== undefined) return known
  const made = createTokenUses(deps)
  ofDeps.set(deps, made)
  return made
}

function createTokenUses({ clock, control, log }: Deps & { readonly control: Control }): TokenUses {
  let used = new Set<string>()
  let lastMs = 0
  const write = (): void => {
    const ids = [...used]
    used = new Set()
    control.stores.tokens
      .touch(ids, lastMs)
      .catch((cause: unknown) => log.warn('The last use of tokens could not be noted', { cause }))
  }
  return {
    note(tokenId, atMs) {
      if (used.size === 0) clock.timer(BATCH_MS, write)
      used.add(tokenId)
      lastMs = atMs
    },
  }
}
