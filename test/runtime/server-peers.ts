import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { ServerBench } from './server-bench.ts'

const CURL = '/usr/bin/curl'

/** The programs at both ends as the world has them. */
export function peerChecks(bench: ServerBench): void {
  const { ask } = bench

  describe('known clients', () => {
    it('fetch', async () => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, async (_, at) => {
          const response = await fetch(`${bench.url}/echo?${at}`, { method: 'POST', body: `é${at}` })
          return (await response.json()) as { query: string; body: string }
        }),
      )
      for (const [at, { query, body }] of answers.entries())
        expect([query, Buffer.from(body, 'latin1').toString()]).toEqual([String(at), `é${at}`])
      expect(await (await fetch(`${bench.url}/stream`)).text()).toBe('one two three')
    })

    it('node:http with an agent, on one connection', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const ports = new Set<number>()
      const call = (path: string, body: string): Promise<string> =>
        new Promise((resolve, reject) => {
          const sent = request(bench.url + path, { agent, method: 'POST' }, (response) => {
            ports.add(response.socket.localPort!)
            let text = ''
            response.setEncoding('utf8').on('data', (part) => {
              text += part
            })
            response.on('end', () => resolve(text))
          })
          sent.on('error', reject).end(body)
        })
      for (let at = 0; at < 5; at++) expect(await call(`/echo?${at}`, 'x')).toContain(`"query":"${at}"`)
      expect(await call('/stream', '')).toBe('one two three')
      expect(ports.size).toBe(1)
      agent.destroy()
    })

    it.skipIf(!existsSync(CURL))('curl', async () => {
      const curl = async (...args: string[]) => (await promisify(execFile)(CURL, ['-sS', '-i', ...args])).stdout
      const big = 'z'.repeat(100_000)
      expect(await curl('-d', 'hello', `${bench.url}/echo?a`)).toContain('"body":"hello"')
      expect(await curl('-H', 'Transfer-Encoding: chunked', '-d', 'hello', `${bench.url}/echo`)).toContain('"hello"')
      expect(await curl('-H', 'Expect: 100-continue', '-d', big, `${bench.url}/echo`)).toContain(big)
      expect(await curl('-0', `${bench.url}/stream`)).toContain('one two three')
      expect(await curl('-I', `${bench.url}/bytes`)).toMatch(/content-length: 8/)
      const twice = await curl('-v', `${bench.url}/bytes`, `${bench.url}/stream`)
      expect(twice.match(/HTTP\/1\.1 200/g)).toHaveLength(2)
    })
  })

  it('a provider behind TLS is called by its name, its certificate is checked, and its handshake is not repeated', async () => {
    const names: unknown[] = []
    const resumed: boolean[] = []
    const provider = createServer(
      {
        cert: readFileSync(new URL('../fixtures/tls/cert.pem', import.meta.url)),
        key: readFileSync(new URL('../fixtures/tls/key.pem', import.meta.url)),
      },
      async (sent, response) => {
        const socket = sent.socket as TLSSocket & { servername?: unknown }
        names.push(socket.servername)
        resumed.push(socket.isSessionReused())
        response.setHeader('connection', 'close').end(`got ${Buffer.concat(await sent.toArray())}`)
      },
    ).listen(0, '0.0.0.0')
    await new Promise((resolve) => provider.once('listening', resolve))
    const { port } = provider.address() as AddressInfo
    const out = (host: string, trusts: boolean) =>
      ask(`/out?${encodeURIComponent(JSON.stringify({ origin: `https://${host}:${port}`, trusts }))}`)
    expect(await out('localhost', true)).toBe('got hello')
    expect(await out('localhost', true)).toBe('got hello')
    expect(await out('127.0.0.1', true)).toBe('got hello')
    expect(names).toEqual(['localhost', 'localhost', false])
    // Elsewhere sessions are not told of.
    if (bench.runtime.startsWith('node')) expect(resumed).toEqual([false, true, false])
    expect(await out('localhost', false)).toMatch(/^connect: .*(certificate|issuer|self.signed)/i)
    expect(await out('127.0.0.2', true)).toMatch(/^connect: /)
    expect(names).toHaveLength(3)
    provider.close()
  })
}
