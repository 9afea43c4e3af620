import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { get } from '../helpers/client.ts'
import { cleanUp, startServer } from '../helpers/server.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { asked, crowd, usageIn } from './crowd.ts'
import { openRows } from './rows.ts'

const CALLS = 2000
let upstream: ScriptedUpstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(async () => {
  await cleanUp()
  await upstream.close()
})

it('kill -9 in the middle of 2 000 calls loses no answered call and counts none twice', {
  timeout: 120_000,
}, async () => {
  // Slow enough that calls are in every phase at once: waiting, being streamed, just answered, not yet accepted.
  upstream.script((request, at) => {
    const answer = { delayMs: (at % 50) * 30, paceMs: at % 3 }
    return openaiProvider({ text: 'One two three four five six seven eight', answer })(request, at)
  })
  const first = await startServer({ upstreamUrl: upstream.url })
  const { dataDir } = first
  const callers = crowd(first.url, CALLS, asked)
  await callers.whole(CALLS / 3)
  expect(await first.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
  const seen = await callers.all
  const answered = seen.filter((one) => one.text !== null)
  const cut = seen.filter((one) => one.text === null)
  expect(answered.every((one) => one.status === 200)).toBe(true)
  expect(answered.length).toBeGreaterThanOrEqual(CALLS / 3)
  expect(cut.length).toBeGreaterThan(CALLS / 10)
  expect(cut.some((one) => one.id !== null)).toBe(true)

  // Killed once more while it hands on what it found: what was handed on comes again.
  const second = await startServer({ dataDir, upstreamUrl: upstream.url })
  await second.stop('SIGKILL')
  const third = await startServer({ dataDir, upstreamUrl: upstream.url })
  for (const { id } of answered.slice(0, 20)) {
    const receipt = await get(`${third.url}/v1/requests/${id}`)
    expect(receipt.json()).toMatchObject({ id, outcome: 'done', status: 200 })
  }
  expect(await third.stop()).toEqual({ code: 0, signal: null })

  const rows = await openRows(dataDir)
  const missing = answered.map((one) => one.id!).filter((id) => !rows.calls.has(id))
  expect(missing).toEqual([])
  for (const { id, text } of answered) {
    const { usage_input, usage_output, outcome } = rows.calls.get(id!)!
    const told = usageIn(text!)
    expect([outcome, usage_input, usage_output]).toEqual(['done', told.prompt_tokens, told.completion_tokens])
  }
  // What was settled but not received whole may be there; nothing else.
  expect(rows.calls.size).toBeLessThanOrEqual(CALLS)
  const { kept, recounted } = await rows.sums()
  expect(kept).toEqual(recounted)
  await rows.close()
  expect(leftInJournal(dataDir)).toBe(0)
})

/** Bytes of calls that are in the journal's files. */
function leftInJournal(dataDir: string): number {
  const folder = join(dataDir, 'journal')
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.ndjson'))
  return files.reduce((sum, name) => sum + fs.statSync(join(folder, name)).size, 0)
}
