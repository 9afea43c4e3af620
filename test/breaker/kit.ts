import { memoryKv } from '../../db/kv/memory.ts'
import type { AlertEvent } from '../../db/model/alerts.ts'
import { type BreakerOptions, type OpenBreaker, openBreaker } from '../../server/breaker.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'

export const MINUTE_MS = 60_000
export const SILENT = { info() {}, warn() {}, error() {} }

export interface Instance extends OpenBreaker {
  readonly clock: HandClock
  readonly raised: AlertEvent[]
  readonly logged: { readonly level: string; readonly message: string }[]
}

/** A breaker as main.ts opens it, with a clock that is moved by hand. */
export function instance(options: Partial<BreakerOptions> & { readonly clock?: HandClock } = {}): Instance {
  const { clock = handClock(), kv = memoryKv() } = options
  const raised: AlertEvent[] = []
  const logged: { level: string; message: string }[] = []
  const say = (level: string) => (message: string) => void logged.push({ level, message })
  const log = { info: say('info'), warn: say('warn'), error: say('error') }
  const breaker = openBreaker({ log, raise: (event) => void raised.push(event), ...options, kv, clock })
  return { ...breaker, clock, raised, logged }
}

/** So many failures, one after the other. */
export function fail(one: OpenBreaker, times = 3, account = 'env'): void {
  for (let i = 0; i < times; i++) one.failed('openai', account, 'provider')
}

export async function mayTry(one: OpenBreaker, account = 'env', provider = 'openai'): Promise<boolean> {
  return one.mayTry(provider, account)
}

/** How many of so many that ask at once may, dealt out over the instances. */
export async function allowed(instances: readonly OpenBreaker[], askers: number, account = 'env'): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: askers }, (_, at) => mayTry(instances[at % instances.length]!, account)),
  )
  return answers.filter((may) => may).length
}
