import type { Adaptation } from '../dialect.ts'

/** What could not be said as the caller said it: each thing once, however often it comes up. */
export class Notes {
  readonly adapted: Adaptation[] = []
  readonly #seen = new Set<string>()

  add(param: string, how: Adaptation['how']): void {
    const key = `${param}=${how}`
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    this.adapted.push({ param, how })
  }
}
