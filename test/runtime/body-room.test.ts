import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import type { Incoming, Reply } from '../../server/http.ts'
import { BodyRoom } from '../../server/runtime/body-room.ts'
import { listen } from '../../server/runtime/server.ts'
import { readBody } from '../../server/stages/read.ts'
import { Random } from '../helpers/random.ts'
import { type RawClient, rawClient, rawHead, rawPost } from '../helpers/raw-client.ts'

const KB = 1024
const MB = 1024 * KB

describe('BodyRoom', () => {
  it.each([1, 2, 3, 4, 5])('is never given out beyond its size, whatever bodies do (seed %i)', (seed) => {
    const random = new Random(seed)
    const room = new BodyRoom(64 * MB)
    const bodies: { held: number; readonly wants: number }[] = []
    let refused = 0
    for (let step = 0; step < 5000; step++) {
      if (random.once(3)) bodies.push({ held: 0, wants: random.pick([2 * KB, 100 * KB, MB, 32 * MB]) })
      const body = random.pick(bodies.length > 0 ? bodies : [{ held: 0, wants: 0 }])
      const more = Math.min(64 * KB, body.wants - body.held)
      const goesOn = room.take(body.held, more)
      if (goesOn) body.held += more
      else refused++
      if (goesOn && body.held < body.wants) continue
      if (bodies.includes(body) && (!goesOn || random.once(2))) {
        room.give(body.held)
        bodies.splice(bodies.indexOf(body), 1)
      }
      expect(room.left).toBeGreaterThanOrEqual(0)
      expect(room.left).toBe(room.bytes - bodies.reduce((sum, { held }) => sum + held, 0))
    }
    expect(refused).toBeGreaterThan(0)
  })

  it('refuses the largest first, while small ones still pass', () => {
    const room = new BodyRoom(64 * MB)
    const large: number[] = Array.from({ length: 1000 }, () => 0)
    for (let round = 0; round < 512; round++) {
      for (const [at, held] of large.entries()) if (room.take(held, 64 * KB)) large[at] = held + 64 * KB
    }
    expect(Math.max(...large)).toBeLessThan(MB)
    expect(room.take(0, 2 * KB)).toBe(true)
  })

  it('takes the longest body that is allowed while nothing else is there', () => {
    for (const most of [MB, 32 * MB, 2048 * MB]) expect(BodyRoom.suiting(most).take(0, most)).toBe(true)
  })
})

const opened: { close(withinMs: number): Promise<void> }[] = []
const clients: RawClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.leave()
  for (const one of opened.splice(0)) await one.close(0)
})

/** A server that reads bodies, and answers when it is told. */
async function server(room: BodyRoom, until: Promise<void> = Promise.resolve()) {
  const seen: number[] = []
  const handle = async (incoming: Incoming): Promise<Reply> => {
    try {
      seen.push((await readBody(incoming, 8 * MB)).length)
      await until
      return { status: 200, headers: [], body: 'fine' }
    } catch (error) {
      const { status, retryAfter } = error as { status?: number; retryAfter?: number }
      return { status: status ?? 499, headers: ['retry-after', String(retryAfter)], body: 'refused' }
    }
  }
  const listener = await listen(handle, { host: '127.0.0.1', port: 0, bodies: room })
  opened.push(listener)
  const connect = async () => {
    const client = await rawClient(Number(new URL(listener.url).port))
    clients.push(client)
    return client
  }
  return { seen, connect }
}

describe('a server', () => {
  const bodies = { 'with a content-length': false, 'in chunks': true }

  it.each(Object.entries(bodies))('holds no more of all bodies than it has room for, %s', async (_name, inChunks) => {
    const room = new BodyRoom(16 * MB)
    let least = room.left
    const take = room.take.bind(room)
    room.take = (held, more) => {
      const fits = take(held, more)
      least = Math.min(least, room.left)
      return fits
    }
    let go = () => {}
    const { seen, connect } = await server(room, new Promise((resolve) => (go = resolve)))
    const bytes = Buffer.alloc(4 * MB, 'a')
    const framing = inChunks ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(bytes.length) }
    const chunk = Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n0\r\n\r\n')])
    const all = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await connect()
        await client.send(rawHead('POST', '/', framing))
        void client.send(inChunks ? chunk : bytes)
        return client
      }),
    )
    const small = await connect()
    await small.send(rawPost('/', '{"small":1}'))
    const whole = () => seen.filter((length) => length === bytes.length).length
    await until(() => whole() + all.filter(({ text }) => text.includes('refused')).length === all.length)
    go()
    expect(await small.until('fine')).toMatch(/^HTTP\/1\.1 200 /)
    const texts = await Promise.all(all.map((client) => client.until('\r\n\r\n')))
    const served = texts.filter((text) => text.startsWith('HTTP/1.1 200 '))
    const refused = texts.filter((text) => text.startsWith('HTTP/1.1 503 '))
    expect(served.length).toBeGreaterThan(0)
    expect(served.length).toBeLessThan(4)
    expect(served.length + refused.length).toBe(20)
    for (const text of refused) expect(Number(/retry-after: (\d+)/.exec(text)![1])).toBeLessThanOrEqual(10)
    expect(least).toBeGreaterThanOrEqual(0)
    expect(room.left).toBe(room.bytes)
  })

  it('gives room back when a caller leaves in the middle, and when it was refused', async () => {
    const room = new BodyRoom(16 * MB)
    const { connect } = await server(room)
    const leaver = await connect()
    await leaver.send(rawHead('POST', '/', { 'content-length': String(4 * MB) }))
    await leaver.send(Buffer.alloc(MB))
    await until(() => room.left < room.bytes)
    leaver.leave()
    await until(() => room.left === room.bytes)
    const tooLong = await connect()
    await tooLong.send(rawHead('POST', '/', { 'transfer-encoding': 'chunked' }))
    await tooLong.send(`${(9 * MB).toString(16)}\r\n`)
    await tooLong.send(Buffer.alloc(9 * MB))
    expect(await tooLong.until('refused')).toMatch(/^HTTP\/1\.1 (413|503) /)
    await until(() => room.left === room.bytes)
  })

  it('counts what a body unpacks to, also where it lies about that', async () => {
    const room = new BodyRoom(16 * MB)
    let go = () => {}
    const { seen, connect } = await server(room, new Promise((resolve) => (go = resolve)))
    const packed = gzipSync(Buffer.alloc(4 * MB))
    const lying = Buffer.from(packed)
    lying.writeUInt32LE(1000, lying.length - 4)
    const twice = Buffer.concat([gzipSync('a'.repeat(3 * MB)), gzipSync('b')])
    const post = async (bytes: Buffer) => {
      const client = await connect()
      await client.send(rawHead('POST', '/', { 'content-encoding': 'gzip', 'content-length': String(bytes.length) }))
      await client.send(bytes)
      return client
    }
    await post(packed)
    await until(() => seen.includes(4 * MB))
    expect(await (await post(lying)).until('refused')).toMatch(/^HTTP\/1\.1 400 /)
    await post(twice)
    await until(() => seen.includes(3 * MB + 1))
    expect(room.bytes - room.left).toBe(packed.length + 4 * MB + twice.length + 3 * MB + 1)
    await post(packed)
    await until(() => seen.length === 3)
    expect(await (await post(gzipSync(Buffer.alloc(7 * MB)))).until('refused')).toMatch(/^HTTP\/1\.1 503 /)
    expect(room.bytes - room.left).toBe(2 * (packed.length + 4 * MB) + twice.length + 3 * MB + 1)
    go()
    await until(() => room.left === room.bytes)
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}
