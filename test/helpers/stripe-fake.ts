import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Answered, answer, Refused } from './stripe-fake/api.ts'
import { parseForm } from './stripe-fake/form.ts'
import { createLife, type Life } from './stripe-fake/life.ts'
import type { Event } from './stripe-fake/objects.ts'
import { createWorld, type World } from './stripe-fake/world.ts'

export const STRIPE_KEY = 'sk_test_fake0123456789'
export const STRIPE_WEBHOOK_SECRET = 'whsec_fake0123456789'

export interface StripeRequest {
  readonly method: string
  readonly path: string
  readonly body: string
  readonly idempotencyKey: string | null
}

/** A Stripe on a socket of this machine: stateful, and the events that it makes are signed and sent on demand. */
export interface StripeFake extends Life {
  /** For STRIPE_API_BASE and the two others. */
  readonly settings: { readonly secretKey: string; readonly webhookSecret: string; readonly apiBase: string }
  readonly world: World
  /** All that was asked, in its order. */
  readonly requests: StripeRequest[]
  /** Answers the next so many requests with this status. */
  fail(times: number, status: number): void
  /** Called when a request is answered: holds the answer, as it was made, until what it answers resolves. */
  after: ((request: StripeRequest) => Promise<void> | null) | null
  /** Sends an event as Stripe does. @param how what is odd about it; by default nothing */
  send(event: Event, to: (request: Request) => Promise<Response>, how?: Sending): Promise<Response>
  close(): Promise<void>
}

export interface Sending {
  readonly secret?: string
  /** When it was signed, epoch milliseconds; default: now. */
  readonly signedAtMs?: number
  /** What arrives instead of what was signed. */
  readonly tampered?: (payload: string) => string
  /** The header as it arrives; null: none. */
  readonly signature?: string | null
}

interface Kept {
  readonly said: string
  readonly answered: Answered
}

/** @param nowMs its clock, default: the machine's */
export async function stripeFake(nowMs: () => number = Date.now): Promise<StripeFake> {
  const world = createWorld(nowMs)
  const requests: StripeRequest[] = []
  const kept = new Map<string, Kept>()
  let failures = { times: 0, status: 0 }

  const server = createServer((message, reply) => {
    void handle(message).then(({ status, body, replayed }) => {
      const extra = replayed ? { 'idempotent-replayed': 'true' } : {}
      reply.writeHead(status, { 'content-type': 'application/json', 'request-id': world.id('req'), ...extra })
      reply.end(JSON.stringify(body))
    })
  })

  async function handle(message: IncomingMessage): Promise<Answered & { readonly replayed?: boolean }> {
    const body = await textOf(message)
    const idempotencyKey = (message.headers['idempotency-key'] as string | undefined) ?? null
    const request = { method: message.method!, path: message.url!, body, idempotencyKey }
    requests.push(request)
    if (failures.times > 0) {
      failures = { ...failures, times: failures.times - 1 }
      return {
        status: failures.status,
        body: { error: { type: 'api_error', message: 'Something is wrong at Stripe' } },
      }
    }
    if (message.headers.authorization !== `Bearer ${STRIPE_KEY}`) {
      return { status: 401, body: { error: { type: 'invalid_request_error', message: 'Invalid API Key provided' } } }
    }
    const answered = structuredClone(once(request))
    await fake.after?.(request)
    return answered
  }

  /** What was answered to a key is answered to it again; a key that asks for something else is refused. */
  function once(request: StripeRequest): Answered & { readonly replayed?: boolean } {
    const { idempotencyKey: key, method, path, body } = request
    const said = `${method} ${path} ${body}`
    const before = key === null || method !== 'POST' ? undefined : kept.get(key)
    if (before !== undefined) {
      if (before.said === said) return { ...before.answered, replayed: true }
      const message =
        'Keys for idempotent requests can only be used with the same parameters they were first used with.'
      return { status: 400, body: { error: { type: 'idempotency_error', message } } }
    }
    const answered = answerTo(request)
    if (key !== null && method === 'POST') kept.set(key, { said, answered: structuredClone(answered) })
    return answered
  }

  function answerTo({ method, path, body }: StripeRequest): Answered {
    const url = new URL(path, 'http://stripe.test')
    const form = parseForm(method === 'GET' ? url.search.slice(1) : body)
    try {
      return answer(world, { method, path: url.pathname.replace(/^\/v1/, ''), form })
    } catch (thrown) {
      if (thrown instanceof Refused) return thrown.answer
      throw thrown
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const fake: StripeFake = {
    ...createLife(world),
    settings: {
      secretKey: STRIPE_KEY,
      webhookSecret: STRIPE_WEBHOOK_SECRET,
      apiBase: `http://127.0.0.1:${port}`,
    },
    world,
    requests,
    after: null,
    fail: (times, status) => {
      failures = { times, status }
    },
    send(event, to, how = {}) {
      const payload = JSON.stringify(event, null, 2)
      const signed = sign(payload, how.secret ?? STRIPE_WEBHOOK_SECRET, how.signedAtMs ?? nowMs())
      const signature = how.signature === undefined ? signed : how.signature
      return to(
        new Request('http://gateway.test/api/webhooks/stripe', {
          method: 'POST',
          headers: {
            'content-type': 'application/json; charset=utf-8',
            ...(signature === null ? {} : { 'stripe-signature': signature }),
          },
          body: how.tampered?.(payload) ?? payload,
        }),
      )
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return fake
}

/** The header `stripe-signature`. */
export function sign(payload: string, secret: string, atMs: number): string {
  const at = Math.floor(atMs / 1000)
  return `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${payload}`).digest('hex')}`
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
