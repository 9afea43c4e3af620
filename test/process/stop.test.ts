import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, testApp } from '../helpers/app.ts'
import { eventsOf, refused, until } from '../helpers/client.ts'
import { fixture } from '../helpers/fixture.ts'
import { cleanUp, startServer } from '../helpers/server.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { hang, sse } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { gate } from '../helpers/upstream-plan.ts'
import { asked, crowd } from './crowd.ts'
import { openRows } from './rows.ts'

let upstream: ScriptedUpstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterEach(cleanUp)
afterAll(() => upstream.close())

it.each(['SIGTERM', 'SIGINT'] as const)(
  '%s during 200 streams ends each of them in order and loses no record',
  { timeout: 60_000 },
  async (signal) => {
    const rest = gate()
    upstream.script(sse(fixture('openai-chat/text.sse'), { stall: { at: 900, gate: rest } }))
    const server = await startServer({ upstreamUrl: upstream.url })
    const callers = crowd(server.url, 200, (at) => asked(2 * at + 1))
    await until('all streams to begin', () => callers.begun === 200)
    const stopped = server.stop(signal)
    expect(await until('new connections to be refused', () => refused(server.url))).toBe('ECONNREFUSED')
    rest.open()
    const seen = await callers.all
    expect(seen.filter((one) => one.text !== null && eventsOf(one.text).at(-1) === '[DONE]')).toHaveLength(200)
    expect(await stopped).toEqual({ code: 0, signal: null })
    const rows = await openRows(server.dataDir)
    expect(seen.map((one) => rows.calls.get(one.id!)?.outcome).filter((outcome) => outcome !== 'done')).toEqual([])
    expect(rows.calls.size).toBe(200)
    const { kept, recounted } = await rows.sums()
    expect(kept).toEqual(recounted)
    await rows.close()
  },
)

it('a stop right after 1 000 answers has all of them in the database', { timeout: 60_000 }, async () => {
  upstream.script(openaiProvider())
  const server = await startServer({ upstreamUrl: upstream.url })
  const seen = await crowd(server.url, 1000, asked).all
  expect((await server.stop()).code).toBe(0)
  const rows = await openRows(server.dataDir)
  expect(seen.map((one) => one.id!).filter((id) => !rows.calls.has(id))).toEqual([])
  expect(rows.calls.size).toBe(1000)
  await rows.close()
})

it('a stop while the provider hangs ends within its limit, and the calls are recorded as given up', async () => {
  upstream.script(hang())
  const app = testApp({ upstreamUrl: upstream.url })
  const listener = await app.listen()
  const before = upstream.requests.length
  const calls = Array.from({ length: 5 }, (_, at) =>
    fetch(`${listener.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${PROJECT_KEY}` },
      body: JSON.stringify({ ...HELLO, stream: at % 2 === 0 }),
    }).catch(() => 'cut'),
  )
  await until('the calls to reach the provider', () => upstream.requests.length === before + 5)
  const began = performance.now()
  await listener.close(100)
  // At once: from here on the journal takes no more.
  expect(app.records.map((one) => one.outcome)).toEqual(Array.from({ length: 5 }, () => 'aborted'))
  expect(performance.now() - began).toBeGreaterThan(90)
  expect(performance.now() - began).toBeLessThan(2_000)
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 5 }, () => 'cut'))
  for (const one of upstream.requests.slice(before)) expect(await one.ended).toBe('aborted')
  await app.close()
})
