import type { Stores } from '../../db/stores/index.ts'
import type { Deps, Logins, People } from '../deps.ts'
import type { Auth, AuthOptions, LoginClients } from './people/auth.ts'
import { ADDRESS_HEADER, BASE_PATH, type Passed, passGate, type Refusal } from './people/gate.ts'
import { cookieName, freshCookies, openSigned, readCookies, sessionSecrets } from './people/signing.ts'

export interface PeopleOptions extends Pick<Deps, 'kv' | 'clock' | 'random' | 'log'> {
  /** Our Kysely, `{ db, type: 'postgres' }`: better-auth runs its own statements on its own tables. */
  readonly database: AuthOptions['database']
  readonly store: Stores['people']
  /** Null: addresses aren't verified, and forgotten passwords can't be reset. */
  readonly mail: AuthOptions['mail']
  readonly signUp: Logins['signUp']
  readonly clients: LoginClients
  /** Master secrets, the newest first. */
  readonly secrets: readonly string[]
  /** How people reach this gateway, no slash at the end. Asked at each request. */
  readonly publicUrl: () => string
}

/** Calls to other parties' logins are part of a request; it ends all the same. */
const TIMEOUT_MS = 20_000

/** @returns people, and `settled`: resolves when mails under way are with the mail server, or refused by it */
export function createPeople(options: PeopleOptions): People & { settled(): Promise<void> } {
  const { store, clock, log } = options
  const secrets = sessionSecrets(options.secrets)
  const { github, google, oidc } = options.clients
  const made = new Map<string, Promise<Auth>>()
  const underWay = new Set<Promise<unknown>>()

  function later(work: Promise<unknown>): void {
    const watched = work
      .catch((cause: unknown) => log.error('A mail could not be sent', { cause }))
      .finally(() => underWay.delete(watched))
    underWay.add(watched)
  }

  async function refusalOf(email: string, isProven: boolean): Promise<string | null> {
    const { hasAdmin, invited } = await store.admission(email, clock.now())
    if (!hasAdmin) return 'SETUP_REQUIRED'
    return options.signUp === 'open' || (invited && isProven) ? null : 'INVITATION_REQUIRED'
  }

  /** Imported at the first use: it takes longer than the rest of the start. */
  function auth(publicUrl: string, withOidc: boolean): Promise<Auth> {
    const key = `${withOidc} ${publicUrl}`
    const known = made.get(key)
    if (known !== undefined) return known
    const making = import('./people/auth.ts').then(async ({ makeAuth }) => {
      const one = makeAuth({ ...options, secrets, publicUrl, withOidc, refusalOf, later })
      const { socialProviders } = await one.$context
      // It gives a provider up for good that didn't answer once; the next request is to ask again.
      if (withOidc && !socialProviders.some(({ id }) => id === 'oidc')) forget()
      return one
    })
    const forget = (): void => {
      if (made.get(key) === making) made.delete(key)
    }
    const timer = clock.timer(TIMEOUT_MS, forget)
    making.finally(() => timer.cancel()).catch(forget)
    made.set(key, making)
    return making
  }

  async function answer(request: Request, address: string | null): Promise<Response> {
    const passed = await passGate(request, address, options)
    if ('code' in passed) return refuse(passed)
    if (passed.path === '/sign-up/email' && passed.email !== null) {
      const code = await refusalOf(passed.email, true)
      if (code !== null) return refuse(REFUSALS[code]!)
    }
    const publicUrl = options.publicUrl()
    const withOidc = oidc !== null && namesOidc(passed)
    const one = await auth(publicUrl, withOidc)
    return tidy(await one.handler(inwards(request, { passed, address, publicUrl })))
  }

  /** As better-auth is to see it: at our own address, from the peer, with cookies that it can read. */
  function inwards(request: Request, { passed, address, publicUrl }: Inwards): Request {
    const headers = new Headers(request.headers)
    for (const name of DROPPED) headers.delete(name)
    const cookies = headers.get('cookie')
    if (cookies !== null) headers.set('cookie', freshCookies(cookies, secrets))
    if (address !== null) headers.set(ADDRESS_HEADER, address)
    if (isOwnPage(request.headers)) headers.set('origin', new URL(publicUrl).origin)
    const url = `${publicUrl}${BASE_PATH}${passed.path}${new URL(request.url).search}`
    if (request.method === 'GET') return new Request(url, { headers })
    headers.set('content-type', 'application/json')
    return new Request(url, { method: request.method, headers, body: JSON.stringify(passed.body) })
  }

  return {
    logins: {
      signUp: options.signUp,
      providers: Object.entries({ github, google, oidc }).flatMap(([id, client]) => (client === null ? [] : [id])),
    },

    async handle(request, address) {
      let timer: ReturnType<typeof clock.timer> | undefined
      const late = new Promise<Response>((resolve) => {
        timer = clock.timer(TIMEOUT_MS, () => resolve(refuse(LATE)))
      })
      try {
        return await Promise.race([answer(request, address), late])
      } catch (cause) {
        log.error('A sign-in request failed', { cause })
        return refuse(FAILED)
      } finally {
        timer?.cancel()
      }
    },

    async sessionOf(headers) {
      const name = cookieName('session_token', options.publicUrl().startsWith('https:'))
      for (const [one, raw] of readCookies(headers.get('cookie'))) {
        const opened = one === name ? openSigned(raw, secrets) : null
        const session = opened === null ? null : await store.session(opened.value, clock.now())
        if (session !== null) return session
      }
      return null
    },

    async settled() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

interface Inwards {
  readonly passed: Passed
  readonly address: string | null
  readonly publicUrl: string
}

const DROPPED = [ADDRESS_HEADER, 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'content-length', 'host']

const FAILED: Refusal = { status: 500, code: 'SERVER_ERROR', message: 'The gateway failed on this request; try again' }
const LATE: Refusal = { status: 504, code: 'TIMEOUT', message: 'Signing in took too long; try again' }
const REFUSALS: Readonly<Record<string, Refusal>> = {
  SETUP_REQUIRED: { status: 403, code: 'SETUP_REQUIRED', message: 'Make the first admin before anybody signs up' },
  INVITATION_REQUIRED: { status: 403, code: 'INVITATION_REQUIRED', message: 'Ask for an invitation to this address' },
}

/** A page of the very host that was called, by whichever of its names: a machine has more than one. */
function isOwnPage(headers: Headers): boolean {
  const origin = headers.get('origin')
  const host = headers.get('host')
  return host !== null && (origin === `http://${host}` || origin === `https://${host}`)
}

function namesOidc({ path, body }: Passed): boolean {
  return path === '/callback/oidc' || body.provider === 'oidc'
}

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

function refuse({ status, code, message, retryAfter }: Refusal): Response {
  const headers = new Headers(HEADERS)
  if (retryAfter !== undefined) headers.set('retry-after', String(retryAfter))
  return Response.json({ code, message }, { status, headers })
}

/** Errors as `{code, message}` and nothing else; what isn't one of the visitor's says nothing of itself. */
async function tidy(response: Response): Promise<Response> {
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value)
  if (response.status < 400) return new Response(response.body, { status: response.status, headers })
  const said = response.status < 500 ? read(await response.text()) : FAILED
  headers.set('content-type', 'application/json')
  const { code = `HTTP_${response.status}`, message = 'This request can not be answered' } = said
  return new Response(JSON.stringify({ code, message }), { status: response.status, headers })
}

function read(text: string): { readonly code?: string; readonly message?: string } {
  try {
    const { code, message } = JSON.parse(text) as Readonly<Record<string, unknown>>
    return {
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof message === 'string' ? { message: message.slice(0, 500) } : {}),
    }
  } catch {
    return {}
  }
}
