import type { Upstream } from '../../upstream.ts'
import { answer } from './answer.ts'
import { Exchange, type StartTimer } from './exchange.ts'

export interface SandboxOptions {
  /** Epoch milliseconds, for `created`. */
  readonly now: () => number
  /** Calls back once after so many milliseconds unless cancelled; without it the sandbox never waits. */
  readonly timer?: StartTimer
  /** Milliseconds between the chunks of a stream; 0 sends them as fast as they are read. */
  readonly paceMs?: number
  /** Milliseconds that `sandbox/slow` waits before its first byte; a tenth of it before every chunk. */
  readonly slowMs?: number
}

const PACE_MS = 12
const SLOW_MS = 3_000

/** The sandbox as an upstream; see `Upstream` for what it promises. */
export function createSandbox({ now, timer, paceMs = PACE_MS, slowMs = SLOW_MS }: SandboxOptions): Upstream {
  const pace = timer === undefined ? { paceMs: 0, slowMs: 0, timer: null } : { paceMs, slowMs, timer }
  const open = new Set<Exchange>()
  const waiting: (() => void)[] = []
  let closed = false
  return {
    start(request, handler) {
      const exchange = new Exchange(handler, pace, () => {
        open.delete(exchange)
        if (open.size === 0) for (const resolve of waiting.splice(0)) resolve()
      })
      open.add(exchange)
      exchange.begin(closed ? null : () => answer(request, now()))
      return exchange
    },
    close() {
      closed = true
      return open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))
    },
  }
}
