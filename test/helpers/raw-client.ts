import { connect, type Socket } from 'node:net'

/** A caller that writes and reads the bytes of a connection itself: rude, slow, or gone, as a test needs it. */
export interface RawClient {
  readonly socket: Socket
  /** All that has arrived, one character a byte. */
  readonly text: string
  /** False when the connection was closed before the bytes could leave. */
  send(bytes: string | Uint8Array): Promise<boolean>
  /** Resolves with all text so far once it holds `part`, or when the connection ends without it. */
  until(part: string): Promise<string>
  /** `end`: closed in order; `reset`: with an error. */
  readonly closed: Promise<'end' | 'reset'>
  /** Leaves at once. */
  leave(): void
}

export async function rawClient(port: number, options: { readonly read?: boolean } = {}): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  let text = ''
  let reset = false
  let over = false
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const look of waiting) look()
  }
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.on('error', () => {
    reset = true
  })
  const closed = new Promise<'end' | 'reset'>((resolve) => {
    const ended = () => {
      over = true
      wake()
      resolve(reset ? 'reset' : 'end')
    }
    socket.once('end', ended).once('close', ended)
  })
  if (options.read !== false) {
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      wake()
    })
  }
  return {
    socket,
    closed,
    get text() {
      return text
    },
    send(bytes) {
      if (socket.destroyed || over) return Promise.resolve(false)
      return new Promise((resolve) => {
        const gone = () => resolve(false)
        socket.once('close', gone)
        socket.write(bytes, (error) => {
          socket.off('close', gone)
          resolve(error === undefined || error === null)
        })
      })
    },
    until(part) {
      return new Promise((resolve) => {
        const look = () => {
          if (!over && !text.includes(part)) return
          waiting.delete(look)
          resolve(text)
        }
        waiting.add(look)
        look()
      })
    },
    leave() {
      socket.destroy()
    },
  }
}

/** The bytes of a POST with its body. */
export function rawPost(path: string, body: string, headers: Readonly<Record<string, string>> = {}): string {
  return `${rawHead('POST', path, { 'content-length': String(Buffer.byteLength(body)), ...headers })}${body}`
}

export function rawHead(method: string, path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { host: 'gateway.test', 'content-type': 'application/json', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}
