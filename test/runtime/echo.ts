import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Handle, Incoming, Reply } from '../../server/http.ts'
import { listen } from '../../server/runtime/server.ts'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'

/**
 * A program: our server alone, with a handler that does what the checks of the server need. Prints where it listens;
 * `GET /hasty` tells where a second one does, whose limits are short, and `POST /close` closes that one.
 */
const LOCAL = { host: '127.0.0.1', port: 0 }
const LIMITS = { idleMs: 400, headMs: 200, bodyMs: 200, lingerMs: 100, stuckMs: 400, sweepMs: 20 }
const ca = readFileSync(new URL('../fixtures/tls/cert.pem', import.meta.url), 'utf8')
const trusting = socketUpstream({ connectTimeoutMs: 5_000, ca })
const careful = socketUpstream({ connectTimeoutMs: 5_000 })
const events: string[] = []
let made = 0
let hanging = 0

const routes: Record<string, (incoming: Incoming) => Promise<Reply> | Reply> = {
  async '/echo'(incoming) {
    const { method, path, query } = incoming
    const body = Buffer.from(await incoming.body(1e8)).toString('latin1')
    const header = incoming.header('x-a')
    return json({ method, path, query, header, body, address: incoming.remoteAddress })
  },
  async '/sum'(incoming) {
    const body = await incoming.body(1e9)
    return json({ length: body.length, sha256: createHash('sha256').update(body).digest('hex') })
  },
  '/small': (incoming) =>
    incoming.body(10).then(
      () => json('read'),
      (error) => json(error.constructor.name, 413),
    ),
  '/refuse': () => json('refused', 401),
  '/empty': () => ({ status: 204, headers: [], body: '' }),
  '/bytes': () => ({ status: 200, headers: [], body: Buffer.from('\x00\xff bytes', 'latin1') }),
  '/large': () => ({ status: 200, headers: [], body: Buffer.alloc(8e6, 'x') }),
  '/latin': () => ({ status: 200, headers: ['x-latin', '\xe9'], body: '\x00\xff text' }),
  '/inject': () => ({ status: 200, headers: ['x-bad', 'a\r\nx-evil: 1'], body: 'no' }),
  '/inject-name': () => ({ status: 200, headers: ['x-bad: a\r\nx-evil', '1'], body: 'no' }),
  '/throw': () => Promise.reject(new Error('A bug')),
  '/stream': () =>
    stream((sink) => {
      sink.write(Buffer.from('one '))
      sink.write(Buffer.alloc(0))
      setImmediate(() => {
        sink.write(Buffer.from('two '))
        sink.end(Buffer.from('three'))
      })
    }),
  '/flood': ({ query }) =>
    stream((sink) => {
      const piece = Buffer.alloc(64 * 1024, 'f')
      let left = Number(query) * 16
      made = 0
      const pour = (): void => {
        for (; left > 0; left--) {
          made++
          if (!sink.write(piece)) {
            left--
            return sink.onDrain(pour)
          }
        }
        sink.end()
      }
      pour()
    }),
  '/made': () => json(made),
  '/hang': (incoming) => {
    hanging++
    return new Promise((resolve) => {
      incoming.onGone(() => {
        events.push(`gone ${incoming.query}`)
        resolve(json('late'))
      })
    })
  },
  '/drip': (incoming) =>
    stream((sink) => {
      hanging++
      incoming.onGone(() => events.push(`gone ${incoming.query}`))
      sink.write(Buffer.from('drop'))
    }),
  async '/wait'(incoming) {
    await new Promise((resolve) => setTimeout(resolve, Number(incoming.query)))
    return json('waited')
  },
  '/out': ({ query }) => {
    const { origin, trusts } = JSON.parse(decodeURIComponent(query)) as { origin: string; trusts: boolean }
    return callOut(trusts ? trusting : careful, origin)
  },
  '/hanging': () => json(hanging),
  '/events': () => json(events),
  '/memory': () => json(process.memoryUsage().rss),
  '/hasty': () => json(hasty.url),
  '/close': ({ query }) => {
    void hasty.close(Number(query)).then(() => events.push('closed'))
    return json('closing')
  },
}

const handle: Handle = async (incoming) => (await routes[incoming.path]?.(incoming)) ?? json('no route', 404)

const listener = await listen(handle, {
  ...LOCAL,
  upgrade({ method, url, headers }, socket, head) {
    if (headers.upgrade !== 'shout') return false
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: shout\r\nconnection: upgrade\r\n\r\n${method} ${url} `)
    socket.write(head.toString().toUpperCase())
    socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()))
    socket.on('end', () => socket.end())
    return true
  },
})
const hasty = await listen(handle, { ...LOCAL, limits: LIMITS })
console.log(`Listening at ${listener.url}`)

function json(value: unknown, status = 200): Reply {
  return {
    status,
    headers: ['content-type', 'application/json'],
    body: Buffer.from(JSON.stringify(value)).toString('latin1'),
  }
}

function stream(body: Exclude<Reply['body'], string | Uint8Array>): Reply {
  return { status: 200, headers: ['content-type', 'text/plain'], body }
}

function callOut(upstream: ReturnType<typeof socketUpstream>, origin: string): Promise<Reply> {
  return new Promise((resolve) => {
    let text = ''
    const request = { origin, path: '/', method: 'POST', headers: [], body: Buffer.from('hello') } as const
    upstream.start(request, {
      onHeaders() {},
      onData(chunk) {
        text += Buffer.from(chunk)
      },
      onEnd: () => resolve(json(text)),
      onError: ({ kind, message }) => resolve(json(`${kind}: ${message}`)),
    })
  })
}
