import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { until } from '../helpers/client.ts'
import { rawHead, rawPost } from '../helpers/raw-client.ts'
import { asChunk, LAST, MB, parts, type ServerBench } from './server-bench.ts'

/** What callers send. */
export function requestChecks(bench: ServerBench): void {
  const { client, tell, ask } = bench

  describe('requests', () => {
    it('of a pipeline of 50 are answered in order, quick ones behind slow ones', async () => {
      const paths = Array.from({ length: 50 }, (_, at) => (at % 7 === 0 ? `/wait?${at % 3}` : `/echo?${at}`))
      const bodies = paths.map((_, at) => 'b'.repeat(at * 100))
      const sent = paths.map((path, at) => rawPost(path, bodies[at]!, at === 49 ? LAST : {}))
      const text = await tell(sent.join(''))
      const answers = text
        .split('HTTP/1.1 200 OK\r\n')
        .slice(1)
        .map((answer) => JSON.parse(parts(answer)[1]))
      const wanted = paths.map((path, at) =>
        path.startsWith('/wait') ? 'waited' : expect.objectContaining({ query: String(at), body: bodies[at] }),
      )
      expect(answers).toEqual(wanted)
    })

    it('of a caller who reads no answers wait for it: 40 of 8 MB hold little memory', async () => {
      const caller = await client(bench.url, { read: false })
      caller.socket.pause()
      const before = await ask<number>('/memory')
      const sent = caller.send(rawHead('GET', '/large').repeat(40))
      await sent
      expect((await ask<number>('/memory')) - before).toBeLessThan(150 * MB)
      let bytes = 0
      caller.socket.on('data', (chunk) => {
        bytes += chunk.length
      })
      caller.socket.resume()
      await until('all answers', () => bytes > 320e6)
      caller.leave()
    }, 30_000)

    it('of 32 MB arrive whole, with a length and in chunks, in pieces of all sizes', async () => {
      const body = Buffer.alloc(32 * MB, 'abcdefghijk')
      const sum = { length: body.length, sha256: createHash('sha256').update(body).digest('hex') }
      const chunked = { body: new Blob([body]).stream(), duplex: 'half' }
      for (const init of [{ body }, chunked]) {
        const response = await fetch(`${bench.url}/sum`, { method: 'POST', ...init } as RequestInit)
        expect(await response.json()).toEqual(sum)
      }
    })

    it('byte by byte are read as well', async () => {
      const caller = await client()
      for (const byte of rawPost('/echo', 'hello', { ...LAST, 'x-a': 'b' })) await caller.send(byte)
      await caller.closed
      expect(JSON.parse(parts(caller.text)[1])).toMatchObject({ body: 'hello', header: 'b', address: '127.0.0.1' })
    })

    it('behind one that is under way are not read without end', async () => {
      const caller = await client()
      await caller.send(rawHead('GET', '/hang?held'))
      let sent = 0
      const pouring = (async () => {
        for (; sent < 200; sent++) if (!(await caller.send(Buffer.alloc(MB, 'GET /')))) return
      })()
      let before = -1
      await until('a standstill', async () => {
        await new Promise((resolve) => setTimeout(resolve, 100))
        const still = sent === before
        before = sent
        return still
      })
      expect(sent).toBeLessThan(64)
      caller.leave()
      await pouring
    })

    it('that expect to be told so are told to go on, unless nobody wants their body', async () => {
      const expecting = { expect: '100-continue', 'content-length': '5', ...LAST }
      const caller = await client()
      await caller.send(rawHead('POST', '/echo', expecting))
      expect(await caller.until('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n')
      await caller.send('hello')
      await caller.closed
      expect(caller.text).toContain('"body":"hello"')
      expect(await tell(rawHead('POST', '/refuse', expecting))).toMatch(/^HTTP\/1\.1 401 /)
      expect(await tell(`${rawHead('POST', '/echo', expecting)}hello`)).toMatch(/^HTTP\/1\.1 200 /)
    })

    it('that ask for another protocol are plain requests where nobody takes them', async () => {
      const text = await tell(rawHead('GET', '/bytes', { connection: 'upgrade, close', upgrade: 'h2c' }))
      expect(text).toMatch(/^HTTP\/1\.1 200 /)
      expect(
        await tell(rawHead('GET', '/bytes', { connection: 'upgrade, close', upgrade: 'shout' }), bench.hasty),
      ).toMatch(/ 200 /)
    })

    it('that change the protocol hand over a clean socket, with the bytes behind them', async () => {
      const caller = await client()
      await caller.send(
        `${rawHead('GET', '/bytes')}${rawHead('GET', '/ws?x', { connection: 'Upgrade', upgrade: 'shout' })}early`,
      )
      expect(await caller.until('EARLY')).toMatch(/200 OK[\s\S]* bytesHTTP\/1\.1 101 [\s\S]*\r\n\r\nGET \/ws\?x EARLY$/)
      await caller.send('GET / HTTP/1.1\r\n\r\n')
      expect(await caller.until('GET / HTTP')).toMatch(/EARLYGET \/ HTTP\/1\.1\r\n\r\n$/)
      caller.socket.end()
      expect(await caller.closed).toBe('end')
    })
  })

  describe('a body that nobody wants', () => {
    it.each([
      ['too large by its length', '/small', { 'content-length': String(20 * MB) }, 'BodyTooLarge'],
      ['too large as it comes', '/small', { 'transfer-encoding': 'chunked' }, 'BodyTooLarge'],
      ['of a refused caller', '/refuse', { 'content-length': String(20 * MB) }, 'refused'],
    ])('%s: who sends all of it first gets the answer all the same', async (_, path, headers, word) => {
      const caller = await client()
      caller.socket.pause()
      await caller.send(rawHead('POST', path, headers))
      const piece = 'content-length' in headers ? Buffer.alloc(MB) : asChunk(Buffer.alloc(MB))
      for (let sent = 0; sent < 20; sent++) expect(await caller.send(piece)).toBe(true)
      caller.socket.resume()
      expect(await caller.until(`"${word}"`)).toMatch(/^HTTP\/1\.1 4\d\d [\s\S]*connection: close/)
      expect(await caller.closed).toBe('end')
      caller.leave()
    })

    it('too large in its middle, while it is waited for, is refused at once', async () => {
      const caller = await client()
      await caller.send(rawHead('POST', '/small', { 'transfer-encoding': 'chunked', expect: '100-continue' }))
      await caller.until(' 100 ')
      await caller.send(asChunk(Buffer.alloc(6)))
      await caller.send(asChunk(Buffer.alloc(6)))
      expect(await caller.until('BodyTooLarge')).toMatch(/HTTP\/1\.1 413 [\s\S]*connection: close/)
      caller.leave()
    })

    it('is no reason to close when it came whole', async () => {
      const text = await tell(
        rawPost('/small', 'more than ten') + rawPost('/refuse', 'x') + rawPost('/echo', 'y', LAST),
      )
      expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 401', 'HTTP/1.1 200'])
    })

    it('does not go on for ever', async () => {
      const caller = await client()
      await caller.send(rawHead('POST', '/refuse', { 'transfer-encoding': 'chunked' }))
      let sent = 0
      // Past the end of the answer, which doesn't stop a caller like this one.
      const more = () => new Promise<void>((resolve) => caller.socket.write(asChunk(Buffer.alloc(MB)), () => resolve()))
      for (; sent < 300 && !caller.socket.destroyed; sent++) await more()
      expect(sent).toBeLessThan(200)
    })
  })
}
