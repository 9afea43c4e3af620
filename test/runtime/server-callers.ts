import { describe, expect, it } from 'vitest'
import { until } from '../helpers/client.ts'
import { type RawClient, rawHead, rawPost } from '../helpers/raw-client.ts'
import { LAST, MB, type ServerBench } from './server-bench.ts'

/** Who leaves, dawdles, or is there when the server closes. */
export function callerChecks(bench: ServerBench): void {
  const { client, tell, ask } = bench

  describe('a caller', () => {
    const gone = (name: string) => until(name, async () => (await ask<string[]>('/events')).includes(`gone ${name}`))
    const busy = async (path: string): Promise<RawClient> => {
      const before = await ask<number>('/hanging')
      const caller = await client()
      await caller.send(rawHead('GET', path))
      await until('the call', async () => (await ask<number>('/hanging')) > before)
      return caller
    }

    it.each(['/hang', '/drip'])('who leaves or is cut off is told of once: %s', async (path) => {
      for (const how of ['destroy', 'resetAndDestroy'] as const) {
        const name = `${path}-${how}`
        const caller = await busy(`${path}?${name}`)
        caller.socket[how]()
        await gone(name)
        expect((await ask<string[]>('/events')).filter((event) => event === `gone ${name}`)).toHaveLength(1)
      }
    })

    it('who closes its half counts as gone, and is sent what comes in one piece all the same', async () => {
      const caller = await busy('/hang?half')
      caller.socket.end()
      await gone('half')
      expect(await caller.until('late')).toMatch(/^HTTP\/1\.1 200 [\s\S]*"late"$/)
      expect(await caller.closed).toBe('end')
    })

    it('who asks for several things and closes its half gets all answers', async () => {
      const caller = await client()
      caller.socket.end(rawPost('/echo', 'one') + rawPost('/echo', 'two') + rawHead('GET', '/wait?20'))
      await caller.closed
      expect(caller.text).toMatch(/"body":"one"[\s\S]*"body":"two"[\s\S]*"waited"$/)
    })

    it('who closes its half inside a stream that it gets is let go', async () => {
      const caller = await busy('/drip?half-stream')
      caller.socket.end()
      await gone('half-stream')
      await caller.closed
    })

    it('who reads slowly holds back who writes, and gets every byte in the end', async () => {
      const caller = await client(bench.url, { read: false })
      caller.socket.pause()
      await caller.send(rawHead('GET', '/flood?96', LAST))
      let before = -1
      const made = await until('a standstill', async () => {
        await new Promise((resolve) => setTimeout(resolve, 100))
        const now = await ask<number>('/made')
        const still = now === before && now > 0
        before = now
        return still && now
      })
      expect(made).toBeLessThan(96 * 16)
      let bytes = 0
      caller.socket.on('data', (chunk) => {
        bytes += chunk.length
      })
      caller.socket.resume()
      await caller.closed
      expect(bytes).toBeGreaterThan(96 * MB)
    }, 30_000)
  })

  describe('against who wastes our time', () => {
    it('a head that does not end is answered with 408', async () => {
      const caller = await client(bench.hasty)
      const drip = setInterval(() => void caller.send('x: y\r\n'), 20)
      await caller.send('GET / HTTP/1.1\r\n')
      await caller.closed
      clearInterval(drip)
      expect(caller.text).toMatch(/^HTTP\/1\.1 408 [\s\S]*connection: close/)
      caller.leave()
    })

    it('a body that stops is answered with 408', async () => {
      for (const path of ['/echo', '/sum']) {
        const text = await tell(`${rawHead('POST', path, { 'content-length': '9' })}a`, bench.hasty)
        expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 408'])
      }
    })

    it('a slow body is read as long as it goes on', async () => {
      const caller = await client(bench.hasty)
      await caller.send(rawHead('POST', '/echo', { 'content-length': '8', ...LAST }))
      for (const letter of 'abcdefgh') {
        await new Promise((resolve) => setTimeout(resolve, 60))
        await caller.send(letter)
      }
      await caller.closed
      expect(caller.text).toContain('"abcdefgh"')
    })

    it('an idle connection is closed without a word, before and after a request; a busy one is not', async () => {
      expect(await tell('', bench.hasty)).toBe('')
      expect((await tell(rawHead('GET', '/bytes'), bench.hasty)).match(/HTTP/g)).toHaveLength(1)
      expect(await tell(rawHead('GET', '/wait?700', LAST), bench.hasty)).toContain('"waited"')
    })

    it('who never takes its answer is cut off', async () => {
      const caller = await client(bench.hasty, { read: false })
      caller.socket.pause()
      await caller.send(rawHead('GET', '/flood?64'))
      await until('the cut', async () => !(await caller.send('GET / HTTP/1.1\r\n')))
    })
  })

  it('closing lets calls finish, closes idle connections, and cuts the rest when its time is over', async () => {
    const idle = await client(bench.hasty)
    await idle.send(rawPost('/echo', ''))
    await idle.until('body')
    const waiting = await client(bench.hasty)
    await waiting.send(rawHead('GET', '/wait?150'))
    const streaming = await client(bench.hasty)
    await streaming.send(rawHead('GET', '/drip?cut-stream'))
    await streaming.until('drop')
    const hanging = await client(bench.hasty)
    await hanging.send(rawHead('GET', '/hang?cut-hang'))
    const partial = await client(bench.hasty)
    await partial.send('GET /echo HTTP/1.1\r\nhost: h\r\n')
    await until('all to be there', async () => (await ask<number>('/hanging')) >= 2)
    expect(await ask('/close?400')).toBe('closing')
    expect(await idle.closed).toBe('end')
    await partial.send('\r\n')
    expect(await partial.until('"path"')).toMatch(/connection: close/)
    expect(await waiting.until('waited')).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/)
    expect(await waiting.closed).toBe('end')
    await Promise.all([streaming.closed, hanging.closed])
    const told = await until('the end', async () => {
      const all = await ask<string[]>('/events')
      return all.includes('closed') && all
    })
    // Each of them has heard of it before the server says that it is closed.
    expect(told.slice(-3).sort()).toEqual(['closed', 'gone cut-hang', 'gone cut-stream'])
    expect(told.at(-1)).toBe('closed')
    await expect(client(bench.hasty)).rejects.toThrow('ECONNREFUSED')
  })
}
