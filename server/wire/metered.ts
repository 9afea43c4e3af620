import { NO_USAGE, type Usage } from '../../db/model/usage.ts'
import type { Metered } from './wire.ts'

/** What several exchanges used, as one: estimated as soon as one of them is. */
export function sumOf(parts: readonly Metered[]): Metered {
  const usage = { ...NO_USAGE } as { -readonly [counter in keyof Usage]: number }
  for (const part of parts) {
    for (const counter of Object.keys(NO_USAGE) as (keyof Usage)[]) usage[counter] += part.usage[counter]
  }
  return { usage, source: parts.some(({ source }) => source === 'estimated') ? 'estimated' : 'provider' }
}
