import { expect, it } from 'vitest'
import { creditsCounterOf } from '../../db/model/limits.ts'
import { tallyOf } from '../../server/limits/tally.ts'
import { bench, call, credits, events, kv, setUp, spentCredits, upstream, whole } from '../stages/reserve-kit.ts'

bench()

/**
 * What a call used beyond its hold was taken, but only given up when it was settled: what this process held by its own
 * account fell below zero, so that credits seemed to be low while most of them were there.
 */
it('calls that use more than they held leave nothing held, and tell nobody of credits that are not low', async () => {
  setUp({ credits: credits(100_000_000_000) })
  const used = { prompt: 2_000_000, completion: 10 }
  upstream.script(() => whole(used))
  for (let at = 0; at < 40; at++) expect((await call()).status).toBe(200)
  expect(await spentCredits()).toBe(40 * (2_000_000_000 + 20_000))
  const tally = tallyOf(kv, creditsCounterOf('org_one'))
  expect([tally.calls, tally.held, tally.counted]).toEqual([0, 0, 40 * (2_000_000_000 + 20_000)])
  expect(events).toEqual([])
})
