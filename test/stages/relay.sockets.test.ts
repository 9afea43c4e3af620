import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { handClock } from '../helpers/clock.ts'
import { rawClient, rawPost } from '../helpers/raw-client.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json } from '../helpers/upstream-answers.ts'
import { answer, type Plan } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const STREAM = { ...HELLO, stream: true }
const KEY = { authorization: `Bearer ${PROJECT_KEY}` }
const MB = 1024 * 1024
const FRAMES = 800
const TEXT = 'a'.repeat(64 * 1024)
const FRAME = Buffer.from(`data: {"choices":[{"index":0,"delta":{"content":"${TEXT}"},"finish_reason":null}]}\n\n`)

/** 50 MB of a stream or less, made as fast as it is read; `made` counts what was. */
function flood(count = FRAMES): { plan: Plan; made: () => number } {
  let made = 0
  const body = function* () {
    for (let frames = 0; frames < count; frames++) {
      made += FRAME.length
      yield FRAME
    }
    yield Buffer.from('data: [DONE]\n\n')
  }
  return { plan: answer({ headers: { 'content-type': 'text/event-stream' }, body }), made: () => made }
}

/** Resolves when the provider has made nothing more for a while: somebody told it to wait. */
async function standstill(made: () => number): Promise<number> {
  let before = -1
  while (made() !== before || made() === 0) {
    before = made()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  return before
}

describe('a caller who reads slowly', () => {
  it('on a socket holds back the provider: little is made ahead, and all of it arrives when it reads on', async () => {
    const { plan, made } = flood()
    upstream.script(plan)
    const client = await rawClient((await app.listen()).port, { read: false })
    client.socket.pause()
    await client.send(rawPost(CHAT, JSON.stringify(STREAM), { ...KEY, connection: 'close' }))
    const ahead = await standstill(made)
    // What the kernel's own buffers take on two connections, and little else.
    expect(ahead).toBeLessThan(20 * MB)
    expect(app.records).toHaveLength(0)
    let read = 0
    let tail = Buffer.alloc(0)
    client.socket.on('data', (bytes) => {
      read += bytes.length
      tail = Buffer.concat([tail, bytes]).subarray(-40)
    })
    client.socket.resume()
    await client.closed
    expect(read).toBeGreaterThan(FRAMES * FRAME.length)
    expect(tail.toString()).toContain('data: [DONE]')
    expect(app.records).toMatchObject([{ outcome: 'done' }])
  })

  it('by app.fetch holds back the provider, and gets every byte when it reads on', async () => {
    const { plan, made } = flood()
    upstream.script(plan)
    const response = await app.fetch(post(CHAT, STREAM, { 'x-watchllm-body': 'off' }))
    expect(await standstill(made)).toBeLessThan(20 * MB)
    const text = Buffer.from(await response.arrayBuffer())
    expect(text.length).toBe(FRAMES * FRAME.length + 'data: [DONE]\n\n'.length)
    expect(app.records).toMatchObject([{ outcome: 'done' }])
  })

  it('and leaves frees the provider', async () => {
    const { plan, made } = flood()
    upstream.script(plan)
    const client = await rawClient((await app.listen()).port, { read: false })
    client.socket.pause()
    await client.send(rawPost(CHAT, JSON.stringify(STREAM), KEY))
    await standstill(made)
    client.leave()
    expect(await app.settled(1)).toMatchObject({ outcome: 'aborted', usageSource: 'estimated' })
    expect(await upstream.requests[0]!.ended).toBe('aborted')
  })
})

it('streams on one connection come in order, whole, also when they are asked for at once', async () => {
  const { plan } = flood(32)
  upstream.script(plan)
  const client = await rawClient((await app.listen()).port)
  const one = rawPost(CHAT, JSON.stringify(STREAM), KEY)
  const last = rawPost(CHAT, JSON.stringify(STREAM), { ...KEY, connection: 'close' })
  await client.send(one + one + last)
  await client.closed
  const answers = client.text.split('HTTP/1.1 200 OK').slice(1)
  expect(answers).toHaveLength(3)
  for (const answer of answers) {
    expect(answer.length).toBeGreaterThan(32 * FRAME.length)
    expect(answer).toMatch(/data: \[DONE\]\n\n\r\n0\r\n\r\n$/)
  }
  expect(app.records.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done'])
})

it('a slow caller is not taken for a provider that stalls', async () => {
  const { plan, made } = flood(320)
  upstream.script(plan)
  await app.close()
  const clock = handClock()
  app = testApp({ upstreamUrl: upstream.url, clock })
  const response = await app.fetch(post(CHAT, STREAM, { 'x-watchllm-body': 'off' }))
  await standstill(made)
  clock.advance(500_000)
  expect(app.records).toHaveLength(0)
  expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(320 * FRAME.length)
  expect(app.records).toMatchObject([{ outcome: 'done' }])
})

it('a whole answer of 20 MB arrives whole at a slow caller', async () => {
  const content = 'b'.repeat(20 * MB)
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
  upstream.script(json({ choices: [{ message: { content } }], usage }))
  const client = await rawClient((await app.listen()).port, { read: false })
  client.socket.pause()
  await client.send(rawPost(CHAT, JSON.stringify(HELLO), { ...KEY, connection: 'close' }))
  expect(await app.settled(1)).toMatchObject({ outcome: 'done', usage: { input: 1, output: 1 } })
  let read = 0
  client.socket.on('data', (bytes) => {
    read += bytes.length
  })
  client.socket.resume()
  await client.closed
  expect(read).toBeGreaterThan(20 * MB)
})
