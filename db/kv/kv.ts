/**
 * Counters that instances share, and words between instances. Every operation is atomic over all users of one store.
 *
 * A counter is a key and the time at which its window ends: another end is another counter, which begins at zero. Callers
 * name the window by their own clock, so instances whose clocks differ count for a moment in two windows, each exactly.
 * Amounts are integers up to 2^53: requests, tokens, pico-dollars.
 */
export interface Kv {
  /** No other process counts here. */
  readonly isAlone?: boolean
  /** By what a census knows this process. */
  readonly holder?: string
  /**
   * What this process has of a counter at hand, for calls to come: taken there, and used by nobody. Null while a word with
   * the store is on its way, or there is none: it isn't known then.
   */
  atHand?(counter: Counter): number | null
  /**
   * Takes one from a window of `windowMs` that starts at a multiple of it.
   * Promise: never more than `limit` takes succeed in one window, whoever asks; a refused take changes nothing.
   */
  take(
    key: string,
    limit: number,
    options: { readonly windowMs: number; readonly nowMs: number },
  ): Taken | Promise<Taken>
  /**
   * Takes from several counters at once: from each its amount, or from none anything. An amount of 0 takes nothing and
   * passes while anything is left: for what is only known after the call, see `add`. A counter is named once at most.
   * Promise: what takes bring a counter to never passes its limit, whoever asks.
   */
  takeAll(wishes: readonly Wish[], nowMs: number): Verdict | Promise<Verdict>
  /**
   * Counts what was used after the fact. It may pass the limit; then nothing more is let through. A negative amount gives
   * back what this very process took from this very window before.
   */
  add(counter: Counter, amount: number, nowMs: number): void | Promise<void>
  /**
   * Raises what is used of a counter to that, and never lowers it: what is known from elsewhere to have been used already.
   * Saying it twice, or by several instances, changes nothing. It may pass the limit, like `add`.
   */
  atLeast(counter: Counter, used: number, nowMs: number): void | Promise<void>
  /**
   * Who may still use, or give back, what was taken from a counter: what a process had open when it was killed stays
   * used until its window ends, and for ever where that never does. Absent where nobody else counts.
   */
  census?(counter: Counter, options: CensusOptions): Promise<Census>
  /**
   * Gives back what the dead held, and forgets who isn't known to live: should one of them speak again, all that it ever
   * had counts as used once more. @returns false when anything has changed since the census: nothing was done
   */
  reclaim?(counter: Counter, amount: number, options: ReclaimOptions): Promise<boolean>
  /** What is used of each counter, by everybody, without taking. */
  read(counters: readonly Counter[], nowMs: number): readonly number[] | Promise<readonly number[]>
  /** Tells every subscriber of the channel, those of this process too. Resolves when the store has it; nobody need hear it. */
  publish(channel: string, text: string): Promise<void>
  /**
   * Hears what is published from when it resolves on. A broken connection is mended by itself; what was said meanwhile is
   * lost, and `missed` is called so that the listener can look for itself.
   * @returns ends it
   */
  subscribe(channel: string, hear: (text: string) => void, missed?: () => void): Promise<() => void>
  /** Answers when the store can be used; rejects with what is wrong. */
  ping(): Promise<void>
  /** Gives back what is held and ends connections. */
  close(): Promise<void>
}

export interface Taken {
  readonly allowed: boolean
  /** What is left in this window, never below zero; with leases, as far as this instance knows. */
  readonly remaining: number
  /** Epoch milliseconds at which the window ends. */
  readonly resetMs: number
}

export interface Counter {
  readonly key: string
  readonly limit: number
  /** Epoch milliseconds at which the window ends; MAX_SAFE_INTEGER for one that never does. */
  readonly endMs: number
}

export interface Census {
  /** All that is used, what processes hold for calls to come included. */
  readonly used: number
  /** Of that, what is kept for those who live until they ask for it; what they have they know, see `atHand`. */
  readonly kept: number
  /** Who lives, this process maybe included. */
  readonly holders: readonly string[]
  /** Another one when any of it is different, or was. */
  readonly mark: string
}

export interface CensusOptions {
  /** Who said anything in so long lives. */
  readonly silentMs: number
  /** So do they, whatever they said. */
  readonly alive?: readonly string[]
}

export interface ReclaimOptions extends CensusOptions {
  /** Of the census from which it is known. */
  readonly mark: string
  readonly nowMs: number
}

export interface Wish extends Counter {
  /** At least 0. */
  readonly amount: number
}

export interface Verdict {
  readonly allowed: boolean
  /** Index of a wish that can't be granted, -1 when all were. */
  readonly refused: number
  /** When the refusing window ends, epoch milliseconds; null when nothing was refused. */
  readonly resetMs: number | null
  /** What is left of each counter, like `Taken.remaining`. */
  readonly remaining: readonly number[]
}

/** A store that several processes use, over a network. Every method is one round trip, and rejects when the store fails. */
export interface SharedKv extends Kv {
  census(counter: Counter, options: CensusOptions): Promise<Census>
  reclaim(counter: Counter, amount: number, options: ReclaimOptions): Promise<boolean>
  /** The counter's name there, which recalls carry. */
  nameOf(counter: Pick<Counter, 'key' | 'endMs'>): string
  /** Leases parts of counters to this process and takes its word on those it has; see leases.ts. */
  lease(holder: LeaseHolder, lines: readonly LeaseLine[]): Promise<LeaseAnswer>
}

/** Channel on which a counter's name is said when somebody needs what others hold of it. */
export const RECALL = 'recall'

export interface LeaseHolder {
  /** Of this process, never used again by another. */
  readonly id: string
  /** After so long without a word, by the store's own clock, what is reserved for a holder is free again. */
  readonly termMs: number
  /** It won't come back: don't count it among the instances. */
  readonly leaving: boolean
}

/** A holder's word on one counter. Totals are since `epoch`, so that saying it twice, or late, does no harm. */
export interface LeaseLine extends Counter {
  /** For how long the store keeps the counter, from now on. */
  readonly ttlMs: number
  /** Number of this word, ever higher: the store ignores what comes late. */
  readonly seq: number
  /** The `seq` at which the holder began to count from zero. */
  readonly epoch: number
  /** All units that were opened to it, less those that it gives back hereby, plus what it used unasked; may be negative. */
  readonly had: number
  /** Those of them that are used. */
  readonly spent: number
  /** Units for callers that wait. */
  readonly want: number
  /** Fewer than so many help nobody. */
  readonly least: number
  /** Units beyond that for those to come, given when plenty is left. With neither, what is reserved goes back. */
  readonly more: number
}

export interface LeaseAnswer {
  /** Processes that were heard of lately, this one included. */
  readonly instances: number
  /** One a line. */
  readonly grants: readonly LeaseGrant[]
}

export interface LeaseGrant {
  /** Units opened hereby: the store counts them as used unless they are given back. */
  readonly given: number
  /** Units kept for this holder until it asks or its term ends. */
  readonly reserved: number
  /** What nobody has, may be below zero after `add`. */
  readonly free: number
  /** What other holders whose term runs may still give back. */
  readonly others: number
}
