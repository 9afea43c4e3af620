import type { Clock } from '../deps.ts'
import { type AccountState, enter, isOpened, MAX_REST_MS, newAccount } from './account.ts'
import { clearedAfter, closedAfter, resetAt } from './phase.ts'
import { openShared, type Shared, type SharedOptions } from './shared.ts'
import type { Word } from './words.ts'

/** The accounts that this instance knows, kept as the others know them. */
export interface Book extends Pick<Shared, 'takeProbe' | 'giveProbeBack' | 'close'> {
  /** Made when it isn't there. */
  of(provider: string, account: string): AccountState
  find(provider: string, account: string): AccountState | undefined
  /** Hears what was said of it before it was known here; null: that is done already. */
  look(one: AccountState): Promise<void> | null
  /** Tells the others what it is now: open, or closed. */
  tell(one: AccountState): void
  tellRest(one: AccountState): void
  /** Its probe was given back. */
  tellFree(one: AccountState): void
  reset(provider?: string, account?: string): void
}

export interface BookOptions extends Omit<SharedOptions, 'hear' | 'missed'> {
  readonly clock: Clock
}

/** Beyond so many the one that is known longest is forgotten, and looked up again. */
const MAX_ACCOUNTS = 10_000

export function openBook(options: BookOptions): Book {
  const { clock } = options
  const accounts = new Map<string, AccountState>()
  /** Phases of the last resets by provider, null: of all. What is opened from then on is later than they are. */
  const resets = new Map<string | null, number>()
  const shared = openShared({ ...options, hear, missed })

  function of(provider: string, account: string): AccountState {
    const name = nameOf(provider, account)
    const known = accounts.get(name)
    if (known !== undefined) return known
    if (accounts.size >= MAX_ACCOUNTS) forgetOldest()
    const one = newAccount(provider, account)
    one.phase = Math.max(resets.get(provider) ?? 0, resets.get(null) ?? 0)
    accounts.set(name, one)
    return one
  }

  function forgetOldest(): void {
    for (const oldest of accounts.keys()) return void accounts.delete(oldest)
  }

  function look(one: AccountState): Promise<void> | null {
    if (one.looking !== null) return one.looking
    const found = shared.look(one.provider, one.account)
    const note = (phase: number): void => {
      one.looking = null
      one.isKnown = true
      enter(one, phase, { nowMs: clock.now() })
    }
    if (!(found instanceof Promise)) {
      note(found)
      return null
    }
    one.looking = found.then(note)
    return one.looking
  }

  function missed(): void {
    for (const one of accounts.values()) one.isKnown = false
    // This instance hears it too: others may have missed as much of what it had to say.
    shared.say({ is: 'ask' })
  }

  function tellAll(): void {
    const nowMs = clock.now()
    for (const one of accounts.values()) {
      if (isOpened(one)) tell(one)
      if (one.restUntilMs > nowMs) tellRest(one)
    }
  }

  function hear(word: Word): void {
    const nowMs = clock.now()
    if (word.is === 'ask') return tellAll()
    if (word.is === 'reset') return hearReset(word.provider, word.phase)
    const { provider, account } = word
    if (word.is === 'phase') {
      enter(of(provider, account), word.phase, { nowMs, heard: word })
    } else if (word.is === 'rest') {
      const one = of(provider, account)
      one.restUntilMs = Math.max(one.restUntilMs, Math.min(word.untilMs, nowMs + MAX_REST_MS))
    } else {
      const one = accounts.get(nameOf(provider, account))
      if (one?.probe?.state === 'others') one.probe = null
    }
  }

  function hearReset(provider: string | null, phase: number): void {
    const nowMs = clock.now()
    resets.set(provider, Math.max(phase, resets.get(provider) ?? 0))
    for (const one of accounts.values()) {
      if (provider !== null && one.provider !== provider) continue
      // Opened by a clock that is ahead: whoever asked for the reset meant it too.
      const isLater = isOpened(one) && one.phase > phase
      enter(one, isLater ? closedAfter(one.phase) : phase, { nowMs })
      if (isLater) tell(one)
    }
  }

  function tell({ provider, account, phase, failures, fault, lastFailureMs }: AccountState): void {
    shared.keep(phase, provider, account)
    shared.say({ is: 'phase', provider, account, phase, failures, fault, failedAtMs: lastFailureMs })
  }

  function tellRest({ provider, account, restUntilMs }: AccountState): void {
    shared.say({ is: 'rest', provider, account, untilMs: restUntilMs })
  }

  function reset(provider?: string, account?: string): void {
    const phase = resetAt(clock.now())
    if (provider !== undefined && account !== undefined) {
      const one = of(provider, account)
      enter(one, Math.max(phase, clearedAfter(one.phase)), { nowMs: clock.now() })
      return tell(one)
    }
    hearReset(provider ?? null, phase)
    shared.keep(phase, provider ?? null, null)
    shared.say({ is: 'reset', provider: provider ?? null, phase })
  }

  return {
    ...{ of, look, tell, tellRest, reset },
    find: (provider, account) => accounts.get(nameOf(provider, account)),
    tellFree: ({ provider, account }) => shared.say({ is: 'free', provider, account }),
    takeProbe: shared.takeProbe,
    giveProbeBack: shared.giveProbeBack,
    close: shared.close,
  }
}

function nameOf(provider: string, account: string): string {
  return `${provider}/${account}`
}
