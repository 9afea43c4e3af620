import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Listener } from '../../server/http.ts'
import { listen } from '../../server/runtime/server.ts'
import { until } from '../helpers/client.ts'
import { Random } from '../helpers/random.ts'
import { rawClient } from '../helpers/raw-client.ts'
import { goodRequest, oddRequest, type ReadRequest } from '../runtime/requests.ts'

/**
 * node:http is the judge: the same bytes go to both, and whatever our server has served, node has read in the same way
 * (method, target, headers, body, and where the next request begins).
 */
let ours: Listener
let node: Server
let byOurs: ReadRequest[] = []
let byNode: (ReadRequest | null)[] = []
const reads = new WeakMap<Socket, (ReadRequest | null)[]>()
const NAMES = ['host', 'x-a', 'x-b', 'accept', 'cookie', 'x_c', 'te', 'via', '!#$', 'authorization', 'x-content-length']
NAMES.push('content-length', 'transfer-encoding', 'connection', 'expect', 'x', 'other')

beforeAll(async () => {
  ours = await listen(
    async (incoming) => {
      const { method, path, query } = incoming
      const headers: Record<string, string> = {}
      for (const name of NAMES) {
        const value = incoming.header(name)
        if (value !== null) headers[name] = value
      }
      const body = Buffer.from(await incoming.body(1e6)).toString('latin1')
      byOurs.push({ method, target: query === '' ? path : `${path}?${query}`, headers, body })
      return { status: 200, headers: [], body: 'ok' }
    },
    { host: '127.0.0.1', port: 0 },
  )
  node = createServer((request, response) => {
    const headers = Object.fromEntries(NAMES.flatMap((name) => entryOf(request, name)))
    const chunks: Buffer[] = []
    // In the order of the requests, whichever body is complete first.
    const into = reads.get(request.socket)!
    const place = into.push(null) - 1
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('latin1')
      into[place] = { method: request.method!, target: pathOf(request.url!), headers, body }
      response.end('ok')
    })
  })
  // By connection: what is left of one comparison may come in the middle of the next.
  node.on('connection', (socket) => reads.set(socket, byNode))
  node.listen(0, '127.0.0.1')
  await new Promise((resolve) => node.once('listening', resolve))
})
afterAll(async () => {
  await ours.close(0)
  node.close()
})

function entryOf({ headers }: IncomingMessage, name: string): [string, string][] {
  const value = headers[name]
  return value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]]
}

/** node gives a target as it was sent; a query without anything is none for us. */
function pathOf(url: string): string {
  const path = url.replace(/^https?:\/\/[^/?]+/i, '').replace(/^(?!\/)/, '/')
  return path.endsWith('?') && path.indexOf('?') === path.length - 1 ? path.slice(0, -1) : path
}

/** Behind all others, so that the connection ends. */
const LAST = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'

async function judge(stream: string): Promise<void> {
  byOurs = []
  const own: typeof byNode = []
  byNode = own
  const bytes = Buffer.from(stream, 'latin1')
  const one = await rawClient(portOf(ours.url))
  one.socket.end(bytes)
  await one.closed
  one.leave()
  const other = await rawClient((node.address() as AddressInfo).port)
  other.socket.on('error', () => {})
  await other.send(bytes)
  // node needs no more than ours did, unless it disagrees.
  const enough = () => own.filter((read) => read !== null).length >= byOurs.length
  await Promise.race([other.closed, until('node to read as much', enough)]).catch(() => {})
  other.leave()
}

const portOf = (url: string): number => Number(new URL(url).port)

it('requests in order are read as node:http reads them, every one', async () => {
  for (let seed = 0; seed < 150; seed++) {
    const random = new Random(seed)
    await judge(goodRequest(random) + goodRequest(random) + LAST)
    expect(byNode, `seed ${seed}`).toEqual(byOurs)
    expect(byOurs.at(-1)?.target).toBe('/last')
  }
})

it('whatever is served of odd bytes, node:http reads in the same way', { timeout: 120_000 }, async () => {
  let served = 0
  let refused = 0
  for (let seed = 0; seed < 600; seed++) {
    const random = new Random(1000 + seed)
    await judge(oddRequest(random) + goodRequest(random) + LAST)
    expect(byNode.slice(0, byOurs.length), `seed ${1000 + seed}`).toEqual(byOurs)
    served += byOurs.length
    if (byOurs.at(-1)?.target !== '/last') refused++
  }
  // The generator makes enough of both for this to mean something.
  expect(served).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(200)
})
