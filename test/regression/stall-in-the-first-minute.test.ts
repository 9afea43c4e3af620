import { afterEach, beforeEach, expect, it } from 'vitest'
import { HELLO, post, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { sse } from '../helpers/upstream-answers.ts'
import { gate } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let clock: HandClock
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  clock = handClock()
  const settings = { firstByteTimeoutMs: 60_000, idleTimeoutMs: 30_000 }
  app = testApp({ upstreamUrl: upstream.url, clock, settings })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

it('a stream that stalls early is given up after the idle limit, not after the limit for the first byte', async () => {
  const frame = 'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
  upstream.script(sse(`${frame}${frame}`, { stall: { at: frame.length, gate: gate() } }))
  const response = await app.fetch(post('/v1/chat/completions', { ...HELLO, stream: true }))
  const reader = response.body!.getReader()
  await reader.read()
  clock.advance(29_999)
  expect(app.records).toHaveLength(0)
  clock.advance(1)
  expect(app.records).toMatchObject([{ outcome: 'cut', errorCode: 'provider_timeout', latencyUs: 30_000_000 }])
  expect(await upstream.requests[0]!.ended).toBe('aborted')
})
