import type { Adaptation, ModelFacts } from '../dialect.ts'

/** Keeps account of what could not be said as the caller said it. */
export class Notes {
  readonly adapted: Adaptation[] = []
  readonly #refuses: readonly string[]

  constructor(facts: ModelFacts | null) {
    this.#refuses = facts?.refuses ?? []
  }

  note(param: string, how: Adaptation['how']): void {
    this.adapted.push({ param, how })
  }

  /** The value, or null when it was not said, or the model refuses it. */
  take<Value>(param: string, value: Value | null): Value | null {
    if (value === null || !this.#refuses.includes(param)) return value
    this.note(param, 'dropped')
    return null
  }

  /** The value brought inside the limits that the wire has. */
  within(param: string, value: number | null, { min, max }: { min: number; max: number }): number | null {
    const taken = this.take(param, value)
    if (taken === null) return null
    const inside = Math.min(max, Math.max(min, taken))
    if (inside !== taken) this.note(param, 'clamped')
    return inside
  }
}

/** The object without members that are null. */
export function said(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
}
