import { createHash, createSign, generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Claims {
  readonly sub: string
  readonly email: string
  readonly email_verified: boolean
  readonly name: string
}

export interface OidcProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Who signs in there next. */
  user: Claims
  /** How it misbehaves. */
  fault: 'none' | 'foreign key' | 'other nonce' | 'other audience' | 'other issuer' | 'expired' | 'down'
  /** Paths that were asked for. */
  readonly asked: string[]
  /** What a browser does there: the user agrees, and is sent back. @returns the place to go on at */
  authorize(url: string): Promise<URL>
  close(): Promise<void>
}

const KEY_ID = 'key-1'

/** An OpenID provider with the authorization-code flow and PKCE, on a socket of its own. */
export async function openOidcProvider(): Promise<OidcProvider> {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const codes = new Map<string, { nonce: string; challenge: string; redirect: string; user: Claims }>()
  const tokens = new Map<string, Claims>()
  let issuer = ''

  function idToken(user: Claims, nonce: string): string {
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      ...user,
      iss: provider.fault === 'other issuer' ? 'https://other.test' : issuer,
      aud: provider.fault === 'other audience' ? 'another-client' : provider.clientId,
      nonce: provider.fault === 'other nonce' ? 'another' : nonce,
      iat: now - (provider.fault === 'expired' ? 7200 : 0),
      exp: now + (provider.fault === 'expired' ? -3600 : 300),
    }
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'RS256', typ: 'JWT', kid: KEY_ID })}.${part(claims)}`
    const { privateKey } = provider.fault === 'foreign key' ? foreign : key
    return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`
  }

  async function token(request: IncomingMessage): Promise<[number, unknown]> {
    const form = new URLSearchParams(await bodyOf(request))
    const basic = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString()
    const [id, secret] = basic === '' ? [form.get('client_id'), form.get('client_secret')] : basic.split(':')
    if (id !== provider.clientId || secret !== provider.clientSecret) return [401, { error: 'invalid_client' }]
    const code = form.get('code') ?? ''
    const found = codes.get(code)
    codes.delete(code)
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (found?.challenge !== challenge || found.redirect !== form.get('redirect_uri'))
      return [400, { error: 'invalid_grant' }]
    const access = randomBytes(16).toString('hex')
    tokens.set(access, found.user)
    const id_token = idToken(found.user, found.nonce)
    return [200, { access_token: access, token_type: 'Bearer', expires_in: 300, id_token }]
  }

  function authorize(query: URLSearchParams, response: ServerResponse): void {
    const isGood =
      query.get('client_id') === provider.clientId &&
      query.get('response_type') === 'code' &&
      query.get('code_challenge_method') === 'S256' &&
      query.get('scope')?.split(' ').includes('openid') === true
    if (!isGood) return void response.writeHead(400).end()
    const code = randomBytes(16).toString('hex')
    const redirect = query.get('redirect_uri')!
    const challenge = query.get('code_challenge')!
    codes.set(code, { nonce: query.get('nonce') ?? '', challenge, redirect, user: provider.user })
    const back = new URL(redirect)
    back.searchParams.set('code', code)
    back.searchParams.set('state', query.get('state')!)
    response.writeHead(302, { location: back.href }).end()
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, issuer)
    provider.asked.push(url.pathname)
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (provider.fault === 'down') return json(503, { error: 'down' })
    if (url.pathname === '/authorize') return authorize(url.searchParams, response)
    if (url.pathname === '/token') return json(...(await token(request)))
    if (url.pathname === '/jwks') {
      return json(200, {
        keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: KEY_ID, alg: 'RS256', use: 'sig' }],
      })
    }
    if (url.pathname === '/userinfo') {
      const user = tokens.get((request.headers.authorization ?? '').replace(/^Bearer /, ''))
      return user === undefined ? json(401, {}) : json(200, user)
    }
    if (url.pathname !== '/.well-known/openid-configuration') return json(404, {})
    return json(200, {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const provider: OidcProvider = {
    issuer,
    clientId: 'the-gateway',
    clientSecret: 'the-gateway-secret',
    user: { sub: 'u1', email: 'somebody@example.com', email_verified: true, name: 'Some Body' },
    fault: 'none',
    asked: [],
    async authorize(url) {
      const answer = await fetch(url, { redirect: 'manual' })
      const location = answer.headers.get('location')
      if (location === null) throw new Error(`The provider answered ${answer.status} to ${url}`)
      return new URL(location)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return provider
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
