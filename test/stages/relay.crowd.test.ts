import { EventEmitter } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import type { Incoming, StreamBody } from '../../server/http.ts'
import { HIGH_WATER_BYTES, StreamSink } from '../../server/runtime/server-reply.ts'
import type { ServerSocket } from '../../server/runtime/server-socket.ts'
import type { Upstream, UpstreamHandler } from '../../server/upstream.ts'
import { HELLO, PROJECT_KEY, type TestApp, testApp } from '../helpers/app.ts'

const READERS = 200
const KB = 1024
const CHUNK = Buffer.from(
  `data: {"choices":[{"index":0,"delta":{"content":"${'a'.repeat(16 * KB)}"},"finish_reason":null}]}\n\n`,
)

let app: TestApp
afterEach(() => app.close())

/** A provider that makes a chunk a turn for every stream that isn't told to wait, and never ends. */
class Pouring implements Upstream {
  readonly #open = new Set<{ readonly handler: UpstreamHandler; paused: boolean }>()
  made = 0

  start(_request: unknown, handler: UpstreamHandler) {
    const stream = { handler, paused: false }
    this.#open.add(stream)
    queueMicrotask(() => handler.onHeaders(200, (name) => (name === 'content-type' ? 'text/event-stream' : null)))
    return {
      abort: () => void this.#open.delete(stream),
      pause: () => {
        stream.paused = true
      },
      resume: () => {
        stream.paused = false
      },
    }
  }

  /** @returns how many streams still flow */
  pour(): number {
    let flowing = 0
    for (const stream of this.#open) {
      if (stream.paused) continue
      flowing++
      this.made += CHUNK.length
      // As from a socket: bytes of their own.
      stream.handler.onData(Buffer.from(CHUNK))
    }
    return flowing
  }

  async close(): Promise<void> {}
}

/** The socket of a caller who takes nothing until it is told to: what is written waits in memory. */
class Idle extends EventEmitter {
  destroyed = false
  writableLength = 0
  taken = 0

  get writableNeedDrain(): boolean {
    return this.writableLength >= HIGH_WATER_BYTES
  }

  write(data: string | Uint8Array): boolean {
    this.writableLength += data.length
    return !this.writableNeedDrain
  }

  read(sink: StreamSink): void {
    this.taken += this.writableLength
    this.writableLength = 0
    sink.drained()
  }

  destroy(): void {
    this.destroyed = true
  }
}

function incoming(): Incoming {
  const body = Buffer.from(JSON.stringify({ ...HELLO, stream: true }))
  const heads: Record<string, string> = { authorization: `Bearer ${PROJECT_KEY}` }
  return {
    ...{ method: 'POST', path: '/v1/chat/completions', query: '', remoteAddress: null },
    header: (name) => heads[name] ?? null,
    body: async () => body,
    onGone() {},
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

it(`${READERS} callers who read nothing hold back a provider that pours: a few chunks each, and no more with time`, async () => {
  const provider = new Pouring()
  app = testApp({ upstreamUrl: 'http://provider.test', deps: { upstream: provider } })
  const replies = Array.from({ length: READERS }, () => app.handle(incoming()))
  for (let turn = 0; turn < 20; turn++) {
    await turns(1)
    provider.pour()
  }
  const lines = (await Promise.all(replies)).map((reply) => {
    expect(reply.status).toBe(200)
    const socket = new Idle()
    const sink = new StreamSink(socket as unknown as ServerSocket, 'head', { framing: 'chunked', onEnd() {} })
    ;(reply.body as StreamBody)(sink)
    sink.flush()
    return { socket, sink }
  })
  for (let turn = 0; turn < 500; turn++) {
    provider.pour()
    await turns(1)
  }
  expect(provider.pour()).toBe(0)
  const { made } = provider
  expect(made / READERS).toBeLessThan(20 * CHUNK.length + 2 * HIGH_WATER_BYTES)
  for (const { socket } of lines) expect(socket.writableLength).toBeLessThan(24 * CHUNK.length)
  // Who reads on gets more, and it alone.
  const [one] = lines
  for (let turn = 0; turn < 100; turn++) {
    one!.socket.read(one!.sink)
    provider.pour()
    await turns(1)
  }
  expect(one!.socket.taken).toBeGreaterThan(90 * CHUNK.length)
  expect(provider.made - made).toBeLessThan(110 * CHUNK.length)
})
