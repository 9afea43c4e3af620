import { MULTIPLIER_ONE } from '../db/model/charge.ts'
import { type ModelMultiplier, multiplierOf } from '../db/model/multipliers.ts'
import type { MultiplierStore } from '../db/stores/multipliers.ts'
import type { Clock, Log, ModelMultipliers, Timer } from './deps.ts'

export interface MultiplierOptions {
  readonly store: Pick<MultiplierStore, 'models'>
  readonly clock: Clock
  readonly log: Log
}

export interface OpenMultipliers extends ModelMultipliers {
  /** Until then every multiplier is 1.0. @throws when the database is away */
  load(): Promise<void>
  /** Loads them again; what is known stays in use while the database is away. Never rejects. */
  reload(): Promise<void>
  close(): void
}

/** After this they are asked for again when they couldn't be loaded. */
const RETRY_MS = 5_000
/** Models whose multiplier is known by heart; names come from callers. */
const MAX_KNOWN = 1_000

/** The multipliers of models in memory. */
export function openMultipliers({ store, clock, log }: MultiplierOptions): OpenMultipliers {
  let rules: readonly ModelMultiplier[] = []
  const known = new Map<string, number>()
  let timer: Timer | null = null
  let closed = false
  let asked = 0

  async function load(): Promise<void> {
    const mine = ++asked
    const found = await store.models()
    // A later question has the fresher answer, whichever comes first.
    if (mine !== asked) return
    rules = found
    known.clear()
  }

  async function reload(): Promise<void> {
    timer?.cancel()
    timer = null
    try {
      await load()
    } catch (cause) {
      log.warn('The multipliers of models could not be loaded again', { cause })
      if (!closed) timer ??= clock.timer(RETRY_MS, () => void reload())
    }
  }

  return {
    of(provider, model) {
      if (rules.length === 0) return MULTIPLIER_ONE
      const key = `${provider}/${model}`
      let multiplier = known.get(key)
      if (multiplier === undefined) {
        multiplier = multiplierOf(rules, provider, model)
        if (known.size >= MAX_KNOWN) known.clear()
        known.set(key, multiplier)
      }
      return multiplier
    },
    load,
    reload,
    close() {
      closed = true
      timer?.cancel()
    },
  }
}
