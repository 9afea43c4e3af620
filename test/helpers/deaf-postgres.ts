import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a PostgreSQL on which no NOTIFY arrives, as behind a pooler that gives each transaction another connection. */
export interface DeafPostgres {
  readonly url: string
  /** Notices that were held back. */
  readonly silenced: number
  close(): Promise<void>
}

/** The type of the message that carries a notice. */
const NOTIFICATION = 'A'.charCodeAt(0)
/** Type and length, which counts itself. */
const HEAD = 5

export async function startDeafPostgres(url: string): Promise<DeafPostgres> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let silenced = 0

  const server = createServer((client) => {
    const behind = connect(Number(target.port || 5432), target.hostname)
    let rest = Buffer.alloc(0)
    behind.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes])
      const passed: Buffer[] = []
      while (rest.length >= HEAD) {
        const end = 1 + rest.readUInt32BE(1)
        if (rest.length < end) break
        if (rest[0] === NOTIFICATION) silenced++
        else passed.push(rest.subarray(0, end))
        rest = rest.subarray(end)
      }
      if (passed.length > 0) client.write(Buffer.concat(passed))
    })
    client.on('data', (bytes) => behind.write(bytes))
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  const own = new URL(url)
  own.host = `127.0.0.1:${address.port}`
  return {
    url: own.href,
    get silenced() {
      return silenced
    },
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
