/** Tells of a store that is away: one line a minute however often it fails, and one when it is back. */
export interface Trouble {
  failed(error: unknown, nowMs: number): void
  /** @returns whether it was away */
  mended(): boolean
  readonly away: boolean
}

export interface TroubleLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
}

const TELL_EVERY_MS = 60_000

export function trouble(log: TroubleLog | null): Trouble {
  let away = false
  let told = false
  let toldAtMs = Number.NEGATIVE_INFINITY
  return {
    get away() {
      return away
    },
    failed(error, nowMs) {
      away = true
      if (nowMs - toldAtMs < TELL_EVERY_MS) return
      toldAtMs = nowMs
      told = true
      const message = error instanceof Error ? error.message : String(error)
      log?.warn('The shared counters are away: limits are kept by each instance for itself, and tighter', {
        error: message,
      })
    },
    mended() {
      const was = away
      away = false
      if (was && told) log?.info('The shared counters are back')
      told = false
      return was
    },
  }
}
