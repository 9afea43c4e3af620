import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Redis } from 'ioredis'

/**
 * Upstash's REST API over a real Redis: commands as JSON arrays or in the path, /pipeline, /multi-exec, bearer tokens,
 * base64 answers, and /subscribe as server-sent events. What Redis answers, scripts included, is what it answers.
 */
export interface UpstashFront {
  readonly url: string
  readonly token: string
  /** Requests so far, subscriptions left out. */
  readonly requests: number
  /** Answers every request so from now on, null: as usual. */
  fail(how: FrontFault | null): void
  /** Ends all subscriptions, as a proxy in between does now and then. */
  cutSubscriptions(): void
  close(): Promise<void>
}

export type FrontFault = 'hang' | 'reset' | { readonly status: number; readonly body: string }

type Reply = { readonly result: unknown } | { readonly error: string }

export async function startUpstashFront(redisUrl: string): Promise<UpstashFront> {
  const redis = new Redis(redisUrl, { protocol: 2, maxRetriesPerRequest: 0 })
  // Commands tell what is wrong.
  redis.on('error', () => {})
  const token = 'upstash-test-token'
  const streams = new Set<ServerResponse>()
  let requests = 0
  let fault: FrontFault | null = null

  async function run(command: readonly unknown[]): Promise<Reply> {
    if (command.length === 0) return { error: 'ERR empty command' }
    const [name, ...args] = command.map(asText)
    try {
      return { result: await redis.callBuffer(name!, ...args) }
    } catch (error) {
      return { error: (error as Error).message }
    }
  }

  async function transaction(commands: readonly unknown[][]): Promise<readonly Reply[] | Reply> {
    const multi = redis.multi()
    for (const [name, ...args] of commands) multi.call(asText(name), ...args.map(asText))
    try {
      const all = (await multi.exec()) ?? []
      return all.map(([error, result]) => (error ? { error: error.message } : { result }))
    } catch (error) {
      return { error: (error as Error).message }
    }
  }

  async function subscribe(channels: readonly string[], response: ServerResponse): Promise<void> {
    const listener = redis.duplicate()
    listener.on('error', () => {})
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    response.on('close', () => {
      streams.delete(response)
      listener.disconnect()
    })
    streams.add(response)
    listener.on('message', (channel, text) => response.write(`data: message,${channel},${text}\n\n`))
    await listener.subscribe(...channels)
    for (const [at, channel] of channels.entries()) response.write(`data: subscribe,${channel},${at + 1}\n\n`)
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://front').pathname.split('/').slice(1).map(decodeURIComponent)
    const body = await text(request)
    const isBase64 = request.headers['upstash-encoding'] === 'base64'
    const send = (status: number, reply: Reply | readonly Reply[]): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(shown(reply, isBase64)))
    }
    if (request.headers.authorization !== `Bearer ${token}`)
      return send(401, { error: 'WRONGPASS invalid or missing auth token' })
    if (path[0] === 'subscribe') return subscribe(path.slice(1), response)
    requests++
    if (fault === 'hang') return
    if (fault === 'reset') return void request.socket.destroy()
    if (fault !== null) return void response.writeHead(fault.status).end(fault.body)
    if (path[0] === 'pipeline') return send(200, await Promise.all((JSON.parse(body) as unknown[][]).map(run)))
    if (path[0] === 'multi-exec') {
      const replies = await transaction(JSON.parse(body) as unknown[][])
      return send('error' in replies ? 400 : 200, replies)
    }
    const reply = await run(path[0] === '' ? (JSON.parse(body) as unknown[]) : path)
    send('error' in reply ? 400 : 200, reply)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(400)
      response.end(JSON.stringify({ error: `ERR ${error.message}` }))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return {
    ...{ url: `http://127.0.0.1:${address.port}`, token },
    get requests() {
      return requests
    },
    fail(how) {
      fault = how
    },
    cutSubscriptions() {
      for (const stream of streams) stream.destroy()
    },
    async close() {
      redis.disconnect()
      for (const stream of streams) stream.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Numbers and objects travel as their JSON. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function shown(reply: Reply | readonly Reply[], isBase64: boolean): unknown {
  if (Array.isArray(reply)) return reply.map((one: Reply) => shown(one, isBase64))
  return 'result' in reply ? { result: value(reply.result, isBase64) } : reply
}

/** Every text is encoded but the status OK. */
function value(result: unknown, isBase64: boolean): unknown {
  if (Array.isArray(result)) return result.map((one) => value(one, isBase64))
  if (!(result instanceof Uint8Array)) return typeof result === 'string' ? value(Buffer.from(result), isBase64) : result
  const plain = Buffer.from(result).toString()
  return isBase64 && plain !== 'OK' ? Buffer.from(result).toString('base64') : plain
}

async function text(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
