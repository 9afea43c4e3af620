import { afterEach, expect, it } from 'vitest'
import type { Handle, Listener } from '../../server/http.ts'
import { listen } from '../../server/runtime/server.ts'
import { type TestApp, testApp } from '../helpers/app.ts'
import { rawClient, rawHead, rawPost } from '../helpers/raw-client.ts'

let listener: Listener | null = null
let app: TestApp | null = null
afterEach(async () => {
  await listener?.close(0)
  await app?.close()
})

async function client(handle: Handle) {
  listener = await listen(handle, { host: '127.0.0.1', port: 0 })
  return rawClient(Number(new URL(listener.url).port))
}

it('a reply that can not be sent ends its own connection, not the process', async () => {
  const caller = await client(async () => ({ status: 200, headers: ['x-bad', 'line\nfeed'], body: 'no' }))
  await caller.send(rawHead('GET', '/'))
  await caller.closed
  expect(caller.text).toBe('')
})

it('a call that is refused at once keeps its connection when its body came with its head', async () => {
  app = testApp()
  const caller = await client(app.handle)
  await caller.send(rawPost('/v1/chat/completions', '{}', { authorization: 'Bearer nobody' }))
  expect(await caller.until('}}')).toMatch(/^HTTP\/1\.1 401 [\s\S]*\r\nconnection: keep-alive\r\n/i)
  await caller.send(rawHead('HEAD', '/livez'))
  expect(await caller.until('HTTP/1.1 200')).toMatch(/HTTP\/1\.1 200 /)
  await caller.send(rawHead('GET', '/livez'))
  expect(await caller.until('"ok"')).not.toMatch(/connection: close/i)
  caller.leave()
})
