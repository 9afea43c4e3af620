import { describe, expect, it } from 'vitest'
import { rawHead } from '../helpers/raw-client.ts'
import { LAST, parts, type ServerBench } from './server-bench.ts'

/** What callers get. */
export function answerChecks(bench: ServerBench): void {
  const { client, tell, ask } = bench

  describe('an answer', () => {
    it('has its status, date, length and what becomes of the connection', async () => {
      const [head, body] = parts(await tell(rawHead('GET', '/bytes', LAST)))
      expect(head.split('\r\n')[0]).toBe('HTTP/1.1 200 OK')
      expect(head).toMatch(/\r\ncontent-length: 8\r\n/)
      expect(Math.abs(Date.parse(/\r\ndate: ([^\r]+ GMT)\r\n/.exec(head)![1]!) - Date.now())).toBeLessThan(5_000)
      expect(head).toMatch(/\r\nconnection: close/)
      expect(body).toBe('\x00\xff bytes')
    })

    it('is the same bytes as text, head and body, byte for character', async () => {
      const [head, body] = parts(await tell(rawHead('GET', '/latin', LAST)))
      expect(head).toContain('x-latin: \xe9\r\n')
      expect(body).toBe('\x00\xff text')
    })

    it('of 8 MB arrives whole', async () => {
      const response = await fetch(`${bench.url}/large`)
      expect((await response.arrayBuffer()).byteLength).toBe(8e6)
    })

    it('of 204 has neither length nor body', async () => {
      const caller = await client()
      await caller.send(rawHead('GET', '/empty') + rawHead('GET', '/bytes', LAST))
      await caller.closed
      expect(caller.text).toMatch(/^HTTP\/1\.1 204 No Content\r\n(?!.*content-length)/i)
      expect(caller.text.match(/HTTP\/1\.1 /g)).toHaveLength(2)
    })

    it('to HEAD has the head of GET and nothing more, streams included', async () => {
      const text = await tell(rawHead('HEAD', '/bytes') + rawHead('HEAD', '/stream') + rawHead('GET', '/bytes', LAST))
      const [first, second, third, body] = text.split('\r\n\r\n')
      expect([first, third].map((head) => /content-length: (\d+)/.exec(head!)?.[1])).toEqual(['8', '8'])
      expect(second).toMatch(/^HTTP\/1\.1 200 /)
      expect(body).toBe('\x00\xff bytes')
    })

    it.each(['/inject', '/inject-name', '/throw'])(
      'that can not be sent is none, and nothing leaks: %s',
      async (path) => {
        expect(await tell(rawHead('GET', path))).toBe('')
        expect(await ask('/echo')).toMatchObject({ path: '/echo' })
      },
    )

    it('in pieces comes in chunks, and keeps its connection', async () => {
      const text = await tell(rawHead('GET', '/stream') + rawHead('GET', '/bytes', LAST))
      expect(text).toMatch(/\r\ntransfer-encoding: chunked\r\n/)
      expect(parts(text)[1]).toMatch(/^4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\nHTTP\/1\.1 200 /)
    })
  })

  describe('a caller of HTTP/1.0', () => {
    const old = (path: string, headers = {}): string => rawHead('GET', path, headers).replace('HTTP/1.1', 'HTTP/1.0')

    it('gets pieces ended by the connection', async () => {
      const [head, body] = parts(await tell(old('/stream', { connection: 'keep-alive' })))
      expect(head).not.toMatch(/transfer-encoding/)
      expect(body).toBe('one two three')
    })

    it('keeps its connection only when it asks for that', async () => {
      expect(await tell(old('/bytes'))).toMatch(/connection: close/)
      const text = await tell(old('/bytes', { connection: 'keep-alive' }) + old('/bytes'))
      expect(text.match(/connection: (?:keep-alive|close)/g)).toEqual(['connection: keep-alive', 'connection: close'])
    })
  })
}
