import { createHash } from 'node:crypto'
import type { Clock, Directory, Log, Principal } from './deps.ts'

/** A key as the store knows it. */
export interface KeyEntry extends Principal {
  /** Epoch milliseconds, null: never. */
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
}

export interface DirectoryOptions {
  /** Asks the store. @throws when it can't be reached */
  readonly find: (secretSha256: string) => Promise<KeyEntry | null>
  readonly clock: Clock
  readonly log: Log
}

export interface OpenDirectory extends Directory {
  /** Forgets one key (by its id) or, without an id, looks everything up again: what was said of keys has changed. */
  invalidate(keyId?: string): void
}

/** A known key is looked up again after this, behind the answer; until it is known to be gone it keeps working. */
const FRESH_MS = 60_000
/** An unknown secret is not asked for again for this long, so that guessing costs us no database. */
const UNKNOWN_MS = 5_000
const MAX_UNKNOWN = 10_000

interface Held {
  readonly entry: KeyEntry
  freshUntilMs: number
}

/**
 * Keys in memory, by their secrets: hashing each call's secret would cost as much as all else that admits it. A key known here is answered without a promise and without the database, which may be away; a change
 * reaches every instance by `invalidate` (NOTIFY), at the latest after FRESH_MS.
 */
export function openDirectory(options: DirectoryOptions): OpenDirectory {
  const { clock, log } = options
  const known = new Map<string, Held>()
  const unknown = new Map<string, number>()
  const asking = new Map<string, Promise<Principal | null>>()

  function usable(entry: KeyEntry): Principal | null {
    if (entry.revokedAtMs !== null) return null
    return entry.expiresAtMs === null || entry.expiresAtMs > clock.now() ? entry : null
  }

  /** One question at a time for a secret, until `invalidate` makes its answer one of yesterday. */
  function ask(secret: string): Promise<Principal | null> {
    const underWay = asking.get(secret)
    if (underWay !== undefined) return underWay
    const isCurrent = () => asking.get(secret) === question
    const question: Promise<Principal | null> = fetch(secret, isCurrent).finally(() => {
      if (isCurrent()) asking.delete(secret)
    })
    asking.set(secret, question)
    return question
  }

  async function fetch(secret: string, isCurrent: () => boolean): Promise<Principal | null> {
    const entry = await options.find(sha256(secret))
    if (!isCurrent()) return lookup(secret)
    if (entry !== null) {
      known.set(secret, { entry, freshUntilMs: clock.now() + FRESH_MS })
      return usable(entry)
    }
    known.delete(secret)
    if (unknown.size >= MAX_UNKNOWN) unknown.delete(unknown.keys().next().value!)
    unknown.set(secret, clock.now() + UNKNOWN_MS)
    return null
  }

  function refresh(secret: string, held: Held): void {
    held.freshUntilMs = clock.now() + UNKNOWN_MS
    ask(secret).catch((cause: unknown) => log.warn('A known key could not be looked up again', { cause }))
  }

  function lookup(secret: string): Principal | null | Promise<Principal | null> {
    const held = known.get(secret)
    if (held !== undefined) {
      if (held.freshUntilMs < clock.now()) refresh(secret, held)
      return usable(held.entry)
    }
    const unknownUntilMs = unknown.get(secret)
    if (unknownUntilMs !== undefined && unknownUntilMs > clock.now()) return null
    return ask(secret)
  }

  return {
    lookup,
    invalidate(keyId) {
      unknown.clear()
      asking.clear()
      for (const [secret, held] of known) {
        if (keyId !== undefined && held.entry.keyId !== keyId) continue
        refresh(secret, held)
      }
    },
  }
}

export function sha256(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
