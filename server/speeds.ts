import type { Clock, Speeds } from './deps.ts'

export interface SpeedOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  /** What was measured so long ago counts half. */
  readonly halfLifeMs?: number
  /** Pairs of provider and model that are remembered. */
  readonly most?: number
}

const HALF_LIFE_MS = 5 * 60_000
const MOST = 1000
/** So many half-lives after its last measurement a speed says nothing any more. */
const FORGOTTEN = 12

interface Speed {
  /** Milliseconds, and how many measurements they are of; both as they count at `at`. */
  sum: number
  weight: number
  /** Monotonic milliseconds of the last measurement. */
  at: number
}

/**
 * How fast models answer, as this instance sees it: each measurement counts half as much with every half-life that
 * passes, however many come. Of a pair that is known neither asking nor telling allocates; where there are too many,
 * the one that was measured longest ago is forgotten.
 */
export function openSpeeds({ clock, halfLifeMs = HALF_LIFE_MS, most = MOST }: SpeedOptions): Speeds {
  const known = new Map<string, Map<string, Speed>>()
  let count = 0

  function decay(passedMs: number): number {
    return passedMs <= 0 ? 1 : 2 ** (-passedMs / halfLifeMs)
  }

  function forgetOldest(): void {
    let oldest: { provider: string; model: string; at: number } | null = null
    for (const [provider, models] of known) {
      for (const [model, { at }] of models) if (oldest === null || at < oldest.at) oldest = { provider, model, at }
    }
    if (oldest === null) return
    const models = known.get(oldest.provider)!
    models.delete(oldest.model)
    if (models.size === 0) known.delete(oldest.provider)
  }

  function add(provider: string, model: string, speed: Speed): void {
    if (count < most) count++
    else forgetOldest()
    const models = known.get(provider)
    if (models === undefined) known.set(provider, new Map([[model, speed]]))
    else models.set(model, speed)
  }

  return {
    firstByteMs(provider, model) {
      const speed = known.get(provider)?.get(model)
      if (speed === undefined || clock.monotonic() - speed.at > FORGOTTEN * halfLifeMs) return null
      return speed.sum / speed.weight
    },
    note(provider, model, firstByteMs) {
      // No time that can't have been: it would never be forgotten.
      if (!(firstByteMs >= 0 && firstByteMs < Infinity)) return
      const at = clock.monotonic()
      const speed = known.get(provider)?.get(model)
      if (speed === undefined) return add(provider, model, { sum: firstByteMs, weight: 1, at })
      const left = at - speed.at > FORGOTTEN * halfLifeMs ? 0 : decay(at - speed.at)
      speed.sum = speed.sum * left + firstByteMs
      speed.weight = speed.weight * left + 1
      speed.at = at
    },
  }
}
