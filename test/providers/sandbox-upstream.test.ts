import { describe, expect, it } from 'vitest'
import { createSandbox } from '../../server/providers/sandbox.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest } from '../../server/upstream.ts'

const request = (body: object = {}): UpstreamRequest => ({
  origin: 'sandbox:',
  path: '/chat/completions',
  method: 'POST',
  headers: [],
  body: new TextEncoder().encode(
    JSON.stringify({ model: 'sandbox/chat', stream: true, messages: [{ role: 'user', content: 'hello' }], ...body }),
  ),
})

/** Starts a request and notes everything that is reported. */
function follow(sandbox: Upstream, given: UpstreamRequest, onEvent: (event: string) => void = () => {}) {
  const events: string[] = []
  let resolve = () => {}
  const over = new Promise<void>((done) => {
    resolve = done
  })
  const note = (event: string) => {
    events.push(event)
    onEvent(event)
  }
  const exchange: UpstreamExchange = sandbox.start(given, {
    onHeaders: (status) => note(`headers ${status}`),
    onData: () => note('data'),
    onEnd: () => {
      note('end')
      resolve()
    },
    onError: ({ kind }) => {
      note(`error ${kind}`)
      resolve()
    },
  })
  return { exchange, events, over }
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('the sandbox as an upstream', () => {
  const sandbox = createSandbox({ now: () => 0, paceMs: 0 })

  it('reports nothing before start has returned, then headers once, data, and one end', async () => {
    const { events, over } = follow(sandbox, request())
    expect(events).toEqual([])
    await over
    expect(events[0]).toBe('headers 200')
    expect(events.at(-1)).toBe('end')
    expect(new Set(events.slice(1, -1))).toEqual(new Set(['data']))
    await turns(5)
    expect(events.filter((event) => event === 'end')).toHaveLength(1)
  })

  it.each(['before anything', 'in onHeaders', 'in onData'])('reports nothing after an abort %s', async (when) => {
    const wanted = when === 'in onHeaders' ? 'headers 200' : 'data'
    const { exchange, events } = follow(sandbox, request(), (event) => {
      if (when !== 'before anything' && event === wanted) exchange.abort()
    })
    if (when === 'before anything') exchange.abort()
    await turns(20)
    expect(events).toEqual({ 'before anything': [], 'in onHeaders': ['headers 200'] }[when] ?? ['headers 200', 'data'])
    exchange.abort()
    exchange.resume()
  })

  it('stops at a pause and goes on at resume without losing or repeating a byte', async () => {
    const plain = follow(sandbox, request())
    await plain.over
    let seen = 0
    const paused = follow(sandbox, request(), (event) => {
      if (event === 'data' && ++seen % 3 === 0) paused.exchange.pause()
    })
    await turns(6)
    expect(paused.events).toEqual(['headers 200', 'data', 'data', 'data'])
    for (let i = 0; i < 200 && !paused.events.includes('end'); i++) {
      await turns(3)
      const held = paused.events.length
      await turns(3)
      expect(paused.events.length).toBe(held)
      paused.exchange.resume()
      expect(paused.events.length).toBe(held)
    }
    expect(paused.events).toEqual(plain.events)
  })

  it('lets other work happen in the middle of a long answer', async () => {
    const long = request({ model: 'sandbox/echo', messages: [{ role: 'user', content: 'word '.repeat(2000) }] })
    const { events, over } = follow(sandbox, long)
    await turns(6)
    expect(events.length).toBeGreaterThan(1)
    expect(events).not.toContain('end')
    await over
    expect(events.length).toBeGreaterThan(2000)
  })

  it('refuses new requests once closed, and closes when the last one has ended', async () => {
    const closing = createSandbox({ now: () => 0, paceMs: 0 })
    const first = follow(closing, request())
    const order: string[] = []
    void first.over.then(() => order.push('first ended'))
    const closed = closing.close().then(() => order.push('closed'))
    const late = follow(closing, request())
    expect(late.events).toEqual([])
    await Promise.all([closed, late.over])
    expect(late.events).toEqual(['error connect'])
    expect(order[0]).toBe('first ended')
    await createSandbox({ now: () => 0 }).close()
  })

  it('gives each chunk a buffer of its own', async () => {
    const chunks: Uint8Array[] = []
    await new Promise<void>((resolve) => {
      sandbox.start(request(), {
        onHeaders: () => {},
        onData: (chunk) => {
          chunks.push(chunk.slice())
          chunk.fill(0)
        },
        onEnd: resolve,
        onError: () => resolve(),
      })
    })
    const text = new TextDecoder().decode(Buffer.concat(chunks))
    expect(text).toMatch(/^data: \{.*data: \[DONE\]\n\n$/s)
    expect(text).not.toContain('\0')
  })
})

/** Time that passes only when it is told to. */
class Clockwork {
  #nowMs = 0
  readonly #timers = new Map<number, { readonly atMs: number; readonly callback: () => void }>()
  #count = 0

  get waiting(): number {
    return this.#timers.size
  }

  readonly timer = (afterMs: number, callback: () => void) => {
    const key = ++this.#count
    this.#timers.set(key, { atMs: this.#nowMs + afterMs, callback })
    return { cancel: () => void this.#timers.delete(key) }
  }

  pass(ms: number): void {
    for (let i = 0; i < ms; i++) {
      this.#nowMs++
      for (const [key, { atMs, callback }] of [...this.#timers]) {
        if (atMs > this.#nowMs || !this.#timers.delete(key)) continue
        callback()
      }
    }
  }
}

describe('the sandbox’s pace', () => {
  it('sends a chunk each paceMs', async () => {
    const clock = new Clockwork()
    const { events } = follow(createSandbox({ now: () => 0, timer: clock.timer, paceMs: 20 }), request())
    await turns(4)
    expect(events).toEqual(['headers 200', 'data'])
    clock.pass(19)
    expect(events).toHaveLength(2)
    clock.pass(1)
    expect(events).toHaveLength(3)
    clock.pass(200)
    expect(events).toHaveLength(13)
  })

  it('keeps sandbox/slow waiting before its first byte, and can be aborted there', async () => {
    const clock = new Clockwork()
    const slow = createSandbox({ now: () => 0, timer: clock.timer, slowMs: 1000 })
    const one = follow(slow, request({ model: 'sandbox/slow' }))
    const other = follow(slow, request({ model: 'sandbox/slow' }))
    await turns(4)
    clock.pass(999)
    expect(one.events).toEqual([])
    other.exchange.abort()
    clock.pass(1)
    expect(one.events).toEqual(['headers 200', 'data'])
    clock.pass(100)
    expect(one.events).toHaveLength(3)
    expect(other.events).toEqual([])
    one.exchange.abort()
    expect(clock.waiting).toBe(0)
  })

  it('waits for nothing without a timer', async () => {
    const { events, over } = follow(createSandbox({ now: () => 0 }), request({ model: 'sandbox/slow' }))
    await over
    expect(events.at(-1)).toBe('end')
  })
})
