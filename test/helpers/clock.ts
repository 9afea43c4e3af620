import type { Clock } from '../../server/deps.ts'

/** A clock that stands still until it is told to go. */
export interface HandClock extends Clock {
  /** Goes on by so much; every timer that falls due on the way rings at its own time, in order. */
  advance(ms: number): void
  /** Timers that are set and have neither rung nor been cancelled. */
  readonly timers: number
}

interface Alarm {
  readonly atMs: number
  readonly callback: () => void
}

export function handClock(startMs: number = Date.UTC(2026, 10, 21, 12)): HandClock {
  let nowMs = startMs
  const alarms = new Set<Alarm>()

  function nextBefore(untilMs: number): Alarm | null {
    let next: Alarm | null = null
    for (const alarm of alarms) if (alarm.atMs <= untilMs && (next === null || alarm.atMs < next.atMs)) next = alarm
    return next
  }

  return {
    now: () => nowMs,
    monotonic: () => nowMs - startMs,
    timer(afterMs, callback) {
      const alarm = { atMs: nowMs + afterMs, callback }
      alarms.add(alarm)
      return { cancel: () => void alarms.delete(alarm) }
    },
    advance(ms) {
      const untilMs = nowMs + ms
      for (let alarm = nextBefore(untilMs); alarm !== null; alarm = nextBefore(untilMs)) {
        alarms.delete(alarm)
        nowMs = Math.max(nowMs, alarm.atMs)
        alarm.callback()
      }
      nowMs = untilMs
    },
    get timers() {
      return alarms.size
    },
  }
}
