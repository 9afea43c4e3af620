import type { Upstream } from '../upstream.ts'
import type { Provider } from './provider.ts'
import { answer } from './sandbox/answer.ts'
import { Exchange } from './sandbox/exchange.ts'

/**
 * The provider behind `lgw_test_` keys: answers in this process, without any network, deterministically, in OpenAI's
 * dialect and about its size, and refuses what OpenAI would refuse, so that anyone can build against it.
 * Any model name is answered. Names with a meaning of their own:
 * - `sandbox/chat`, `sandbox/reasoning` (thinks first), `sandbox/embedding`
 * - `sandbox/echo` gives the last user message back exactly
 * - `sandbox/slow` waits before the first byte and between chunks
 * - `sandbox/cut` breaks the connection off half-way
 * - `sandbox/error-429`, `sandbox/error-500`, any `sandbox/error-4xx` or `-5xx`: fails with that status
 */
export const sandbox: Provider = {
  id: 'sandbox',
  name: 'Sandbox',
  baseUrl: 'sandbox:',
  keyVariable: 'SANDBOX_API_KEY',
  baseUrlVariable: 'SANDBOX_BASE_URL',
  keyless: true,
  wires: {
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
  },
  auth: () => [],
}

export interface SandboxOptions {
  /** Epoch milliseconds, for `created`. */
  readonly now: () => number
  /** Milliseconds between the chunks of a stream; 0 sends them as fast as they are read. */
  readonly paceMs?: number
  /** Milliseconds that `sandbox/slow` waits before its first byte; a tenth of it before every chunk. */
  readonly slowMs?: number
}

const PACE_MS = 12
const SLOW_MS = 3_000

/** The sandbox as an upstream; see `Upstream` for what it promises. */
export function createSandbox({ now, paceMs = PACE_MS, slowMs = SLOW_MS }: SandboxOptions): Upstream {
  const open = new Set<Exchange>()
  const waiting: (() => void)[] = []
  let closed = false
  return {
    start(request, handler) {
      const exchange = new Exchange(handler, { paceMs, slowMs }, () => {
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
