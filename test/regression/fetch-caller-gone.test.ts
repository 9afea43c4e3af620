import { afterEach, beforeEach, expect, it } from 'vitest'
import { HELLO, post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { hang } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { gate } from '../helpers/upstream-plan.ts'

const CHAT = '/v1/chat/completions'
let upstream: ScriptedUpstream
let app: TestApp | null = null
beforeEach(async () => {
  upstream = await startUpstream()
})
afterEach(async () => {
  await app?.close()
  await upstream.close()
})

it('a caller who leaves while its key is looked up keeps no provider busy', async () => {
  upstream.script(hang())
  const looking = gate()
  const real = testApp()
  const directory = {
    lookup: async (secret: string) => {
      looking.reach()
      await looking.opened
      return real.deps.directory.lookup(secret)
    },
  }
  app = testApp({ upstreamUrl: upstream.url, deps: { directory } })
  const leaving = new AbortController()
  const request = new Request(post(CHAT, HELLO), { signal: leaving.signal })
  const answered = app.fetch(request)
  await looking.reached
  leaving.abort()
  looking.open()
  await answered
  expect(app.records).toMatchObject([{ outcome: 'aborted', status: 499 }])
  expect(upstream.openConnections).toBe(0)
})

it('a caller who leaves between the end of a stream and its record does not upset anybody', async () => {
  upstream.script(openaiProvider())
  const writing = gate()
  app = testApp({
    upstreamUrl: upstream.url,
    written(done) {
      writing.reach()
      void writing.opened.then(done)
    },
  })
  const response = await app.fetch(post(CHAT, { ...HELLO, stream: true }))
  const reader = response.body!.getReader()
  await Promise.race([writing.reached, drain(reader)])
  await writing.reached
  await reader.cancel()
  writing.open()
  await new Promise((resolve) => setImmediate(resolve))
  expect(app.records).toMatchObject([{ outcome: 'done', keyId: 'key_one' }])
})

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done) {}
}
