/** The least of a browser that signing in takes: keeps cookies, says where it comes from. */
export interface Visitor {
  /** The cookies that it holds, by name, as they travel. */
  readonly cookies: Map<string, string>
  /** Every Set-Cookie line it was ever given. */
  readonly lines: string[]
  post(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answered>
  get(path: string): Promise<Answered>
  /** What its requests carry. */
  headers(): Headers
}

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Null when it is no JSON. */
  readonly body: Readonly<Record<string, unknown>> | null
}

export interface VisitorOptions {
  readonly send: (request: Request) => Promise<Response>
  /** Origin and path prefix of what it visits. */
  readonly base: string
}

export function visitor({ send, base }: VisitorOptions): Visitor {
  const cookies = new Map<string, string>()
  const lines: string[] = []

  function headers(): Headers {
    const out = new Headers({ origin: new URL(base).origin, 'user-agent': 'visitor' })
    if (cookies.size > 0) out.set('cookie', [...cookies].map(([name, raw]) => `${name}=${raw}`).join('; '))
    return out
  }

  async function ask(request: Request): Promise<Answered> {
    const response = await send(request)
    for (const line of response.headers.getSetCookie()) {
      lines.push(line)
      const [pair = ''] = line.split(';')
      const name = pair.slice(0, pair.indexOf('='))
      if (/;\s*max-age=0/i.test(line)) cookies.delete(name)
      else cookies.set(name, pair.slice(name.length + 1))
    }
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true && text !== ''
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : null }
  }

  return {
    cookies,
    lines,
    headers,
    get: (path) => ask(new Request(base + path, { headers: headers() })),
    post(path, body, more = {}) {
      const own = headers()
      for (const [name, value] of Object.entries({ 'content-type': 'application/json', ...more })) own.set(name, value)
      const text = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
      return ask(new Request(base + path, { method: 'POST', headers: own, ...text }))
    },
  }
}
