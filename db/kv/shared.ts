import type { Counter, LeaseAnswer, LeaseGrant, LeaseHolder, LeaseLine, SharedKv, Taken, Verdict, Wish } from './kv.ts'
import { RECALL } from './kv.ts'
import { ADD, AT_LEAST, CENSUS, LEASE, READ, RECLAIM, TAKE } from './scripts.ts'

/** What a client of Redis must be able to do. Everything rejects when Redis doesn't answer in time. */
export interface Client {
  /** Answers the script's array or string, its members as strings. */
  run(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>
  publish(channel: string, text: string): Promise<void>
  subscribe(channel: string, hear: (text: string) => void, missed: () => void): Promise<() => void>
  /** @throws with what keeps it from being used: not there, loading, read-only */
  ping(): Promise<void>
  close(): Promise<void>
}

/** A window is kept for a little longer than it lasts: an instance whose clock is late may still count in it. */
const LATE_MS = 60_000
const LONGEST_MS = 100 * 86_400_000

/** For how long a counter is kept when it was touched now. */
export function ttlMs(endMs: number, nowMs: number): number {
  return Math.min(LONGEST_MS, Math.max(0, endMs - nowMs) + LATE_MS)
}

/** A store over a client of Redis. @param prefix goes before every key and channel */
export function sharedKv(client: Client, prefix = 'watchllm:'): SharedKv {
  const nameOf = ({ key, endMs }: Pick<Counter, 'key' | 'endMs'>): string => `${prefix}c:${endMs}:${key}`
  const members = `${prefix}instances`
  const channelOf = (channel: string): string => `${prefix}ch:${channel}`

  async function takeAll(wishes: readonly Wish[], nowMs: number): Promise<Verdict> {
    const args = wishes.flatMap((wish) => [String(wish.limit), String(ttlMs(wish.endMs, nowMs)), String(wish.amount)])
    const [first, ...remaining] = numbers(await client.run(TAKE, wishes.map(nameOf), args))
    const refused = (first ?? 0) - 1
    return { allowed: refused < 0, refused, resetMs: wishes[refused]?.endMs ?? null, remaining }
  }

  return {
    nameOf,
    takeAll,
    async take(key, limit, { windowMs, nowMs }): Promise<Taken> {
      const endMs = Math.floor(nowMs / windowMs) * windowMs + windowMs
      const { allowed, remaining } = await takeAll([{ key: `${windowMs}:${key}`, limit, endMs, amount: 1 }], nowMs)
      return { allowed, remaining: remaining[0]!, resetMs: endMs }
    },
    async add(counter, amount, nowMs) {
      await client.run(ADD, [nameOf(counter)], [String(ttlMs(counter.endMs, nowMs)), String(amount)])
    },
    async atLeast(counter, used, nowMs) {
      await client.run(AT_LEAST, [nameOf(counter)], [String(ttlMs(counter.endMs, nowMs)), String(used)])
    },
    async census(counter, { silentMs, alive = [] }) {
      const said = await client.run(CENSUS, [nameOf(counter), members], [String(silentMs), ...alive])
      const [used, kept, mark, ...holders] = Array.isArray(said) ? said.map(String) : []
      if (mark === undefined) throw new Error(`Redis answered what no script of ours does: ${JSON.stringify(said)}`)
      return { used: Number(used), kept: Number(kept), mark, holders }
    },
    async reclaim(counter, amount, { silentMs, alive = [], mark, nowMs }) {
      const args = [...[silentMs, mark, amount, ttlMs(counter.endMs, nowMs)].map(String), ...alive]
      const [done] = numbers(await client.run(RECLAIM, [nameOf(counter), members], args))
      return done === 1
    },
    read: async (counters) => numbers(await client.run(READ, counters.map(nameOf), [])),
    async lease(holder: LeaseHolder, lines: readonly LeaseLine[]): Promise<LeaseAnswer> {
      const head = [holder.id, String(holder.termMs), holder.leaving ? '1' : '0', channelOf(RECALL)]
      const rows = lines.map((line) =>
        [line.limit, line.ttlMs, line.seq, line.epoch, line.had, line.spent, line.want, line.least, line.more].map(
          String,
        ),
      )
      const keys = [...lines.map(nameOf), members]
      const [instances, ...rest] = numbers(await client.run(LEASE, keys, [...head, ...rows.flat()]))
      const grants = lines.map((_, at): LeaseGrant => {
        const [given, reserved, free, others] = rest.slice(at * 4, at * 4 + 4)
        return { given: given!, reserved: reserved!, free: free!, others: others! }
      })
      return { instances: instances!, grants }
    },
    publish: (channel, text) => client.publish(channelOf(channel), text),
    subscribe: (channel, hear, missed = () => {}) => client.subscribe(channelOf(channel), hear, missed),
    ping: () => client.ping(),
    close: () => client.close(),
  }
}

/** @throws when it isn't the list of numbers that scripts answer */
function numbers(answer: unknown): number[] {
  const list = Array.isArray(answer) ? answer.map(Number) : []
  if (list.length === 0 || list.some((one) => !Number.isFinite(one)))
    throw new Error(`Redis answered what no script of ours does: ${JSON.stringify(answer)}`)
  return list
}
