import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  app = testApp({ upstreamUrl: upstream.url, settings: { maxBodyBytes: 64 * 1024 } })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const GOOD = JSON.stringify(HELLO)

interface Refused {
  readonly path?: string
  readonly status?: number
  readonly code?: string
  readonly param?: string | null
  readonly says?: RegExp
}

/** Sends it and expects a refusal that reaches no provider and leaves one record of itself. */
async function refuses(body: string | Uint8Array, expected: Refused, headers: Record<string, string> = {}) {
  const { path = CHAT, status = 400, code = 'invalid_request', param = null, says = /./ } = expected
  const response = await app.fetch(post(path, body, headers))
  const { error } = await response.json()
  expect([response.status, error.code, error.param]).toEqual([status, code, param])
  expect(error.message).toMatch(says)
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(upstream.requests).toHaveLength(0)
  expect(app.records).toMatchObject([
    { status, outcome: 'error', errorCode: code, usageSource: 'none', costPico: 0, provider: null, attempts: 0 },
  ])
  return error as { message: string }
}

describe('a body that is no request is refused with 400 that says what to do', () => {
  const message = { role: 'user', content: 'Hi' }
  const members: [name: string, body: object, param: string | null, path?: string][] = [
    ['no model', { messages: [message] }, 'model'],
    ['an empty model', { model: '', messages: [message] }, 'model'],
    ['a model that is no string', { model: 4, messages: [message] }, 'model'],
    ['a model that is null', { model: null, messages: [message] }, 'model'],
    ['a model of 300 characters', { model: 'm'.repeat(300), messages: [message] }, 'model'],
    ['no messages', { model: 'gpt-4o-mini' }, 'messages'],
    ['empty messages', { model: 'gpt-4o-mini', messages: [] }, 'messages'],
    ['messages that are a string', { model: 'gpt-4o-mini', messages: 'Hi' }, 'messages'],
    ['messages that are an object', { model: 'gpt-4o-mini', messages: message }, 'messages'],
    ['messages that are null', { model: 'gpt-4o-mini', messages: null }, 'messages'],
    ['stream that is no flag', { ...HELLO, stream: 'yes' }, 'stream'],
    ['stream_options that are no object', { ...HELLO, stream: true, stream_options: 'usage' }, 'stream_options'],
    ['no prompt', { model: 'gpt-4o-mini' }, 'prompt', '/v1/completions'],
    ['a prompt that is a number', { model: 'gpt-4o-mini', prompt: 5 }, 'prompt', '/v1/completions'],
    ['no input', { model: 'text-embedding-3-small' }, 'input', '/v1/embeddings'],
    ['input that is an object', { model: 'text-embedding-3-small', input: {} }, 'input', '/v1/embeddings'],
    [
      'an unknown encoding',
      { model: 'text-embedding-3-small', input: 'a', encoding_format: 'hex' },
      'encoding_format',
      '/v1/embeddings',
    ],
  ]
  it.each(members)('%s', async (_name, body, param, path = CHAT) => {
    await refuses(JSON.stringify(body), { param, path })
  })

  const texts: [name: string, body: string, says: RegExp][] = [
    ['nothing', '', /empty/],
    ['spaces only', '   ', /JSON object/],
    ['an array', '[]', /JSON object/],
    ['a string', '"hello"', /JSON object/],
    ['null', 'null', /JSON object/],
    ['a web form', 'model=gpt-4o-mini', /JSON object/],
    ['cut off in a name', '{"mod', /ends too early/],
    ['cut off behind a colon', '{"model":', /ends too early/],
    ['cut off in a string', '{"model":"gpt', /ends too early/],
    ['cut off before the last brace', GOOD.slice(0, -1), /ends too early/],
    ['a missing comma', '{"model":"a" "messages":[]}', /byte 13/],
    ['a comma too many', '{"model":"a",}', /byte 13/],
    ['single quotes', "{'model':'a'}", /byte 1/],
    ['a word that is no value', '{"model":undefined}', /byte 9/],
    ['NaN', '{"model":"a","temperature":NaN}', /byte 27/],
    ['a number with a leading zero', '{"model":"a","n":01}', /byte 18/],
    ['a raw line feed in a string', '{"model":"a\nb"}', /byte 11/],
    ['a bad escape', '{"model":"\\x41"}', /byte 11/],
    ['text behind the object', `${GOOD} {}`, /byte/],
    ['a mistake deep inside', '{"model":"a","messages":[{"role":"user","content":[{"type":}]}]}', /byte 59/],
    ['a comment', '{/* model */"model":"a"}', /byte 1/],
  ]
  it.each(texts)('bad JSON: %s', async (_name, body, says) => {
    await refuses(body, { says })
  })

  it.each([
    ['in a name', [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]],
    ['an overlong slash', [0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xc0, 0xaf, 0x22, 0x7d]],
    ['half a character at the end', [0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xe2, 0x82, 0x22, 0x7d]],
    ['a surrogate', [0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('bad UTF-8: %s', async (_name, bytes) => {
    await refuses(Uint8Array.from(bytes), { says: /UTF-8/ })
  })

  it('nesting of 100 000 levels, at once', async () => {
    const deep = (open: string, close: string) =>
      `{"model":"gpt-4o-mini","messages":[{"role":"user","content":${open.repeat(30_000)}1${close.repeat(30_000)}}]}`
    await refuses(deep('[', ']'), { says: /nests deeper/ })
    app.records.length = 0
    await refuses(`{"a":${'{"a":'.repeat(10_000)}`, { says: /nests deeper/ })
  })

  it('one name given twice, also when one of them hides behind an escape', async () => {
    await refuses('{"model":"gpt-4o-mini","messages":[1],"model":"gpt-4o"}', { param: 'model', says: /twice/ })
    app.records.length = 0
    await refuses('{"model":"gpt-4o-mini","messages":[1],"\\u006dodel":"gpt-4o"}', { param: 'model', says: /twice/ })
  })
})

describe('what is strange but no mistake passes', () => {
  async function passes(body: string, headers: Record<string, string> = {}) {
    const response = await app.fetch(post(CHAT, body, headers))
    expect(response.status).toBe(200)
    expect(Buffer.from(upstream.requests[0]!.body).toString()).toBe(body)
    return response
  }

  it('__proto__, constructor and toString are members like others and change nothing here', async () => {
    const odd = '"__proto__":{"model":"evil","polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1'
    await passes(`{${odd},"model":"gpt-4o-mini","messages":[{"__proto__":{"polluted":1}}]}`)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('unknown members, odd spacing, number forms and escapes go up byte for byte', async () => {
    await passes(
      '\r\n {\t"zz_new": {"deep":[1.50e+3,-0,1E5]} ,\n"model" : "gpt-4o-mini","messages":[{"role":"user",' +
        '"content":"\\u00e9\\/\u{1F600}\u2028"}],"seed":12345678901234567890, "x":null}  \n',
    )
  })

  it.each(['application/json; charset=utf-8', 'application/vnd.api+json', 'Application/JSON'])(
    'content-type %s',
    async (type) => {
      await passes(GOOD, { 'content-type': type })
    },
  )

  it('no content-type at all', async () => {
    const authorization = `Bearer ${PROJECT_KEY}`
    const request = new Request(`http://gateway.test${CHAT}`, {
      method: 'POST',
      headers: { authorization },
      body: Buffer.from(GOOD),
    })
    expect(request.headers.get('content-type')).toBeNull()
    expect((await app.fetch(request)).status).toBe(200)
  })

  it('an event stream as the only accepted type, on a call that asks for JSON', async () => {
    await passes(GOOD, { accept: 'text/event-stream' })
  })
})

describe('content-type and content-encoding', () => {
  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'refuses %s',
    async (type) => {
      await refuses(GOOD, { says: /application\/json/ }, { 'content-type': type })
    },
  )

  it.each(['gzip', 'GZIP', 'x-gzip'])('takes %s and sends it on unpacked', async (encoding) => {
    const response = await app.fetch(post(CHAT, gzipSync(GOOD), { 'content-encoding': encoding }))
    expect(response.status).toBe(200)
    expect(Buffer.from(upstream.requests[0]!.body).toString()).toBe(GOOD)
    expect(upstream.requests[0]!.headers['content-encoding']).toBeUndefined()
  })

  it.each(['identity', ''])('takes "%s" as none', async (encoding) => {
    expect((await app.fetch(post(CHAT, GOOD, { 'content-encoding': encoding }))).status).toBe(200)
  })

  it.each([
    ['br', brotliCompressSync(GOOD)],
    ['deflate', deflateSync(GOOD)],
    ['gzip, gzip', gzipSync(gzipSync(GOOD))],
    ['nonsense', Buffer.from(GOOD)],
  ])('refuses %s and says what is taken', async (encoding, body) => {
    await refuses(body, { says: /gzip/ }, { 'content-encoding': encoding })
  })

  it.each([
    ['cut off', gzipSync(GOOD).subarray(0, 40)],
    ['without its checksum', gzipSync(GOOD).subarray(0, -4)],
    ['no gzip at all', Buffer.from(GOOD)],
    ['empty', Buffer.alloc(0)],
  ])('refuses gzip that is %s', async (_name, body) => {
    await refuses(body, { says: /gzip|empty/ }, { 'content-encoding': 'gzip' })
  })

  it('refuses gzip with a wrong checksum', async () => {
    const body = Buffer.from(gzipSync(GOOD))
    body[body.length - 6]! ^= 0xff
    await refuses(body, { says: /gzip/ }, { 'content-encoding': 'gzip' })
  })

  it('refuses a gzip bomb as too large without unpacking it', async () => {
    const bomb = gzipSync(Buffer.alloc(40 * 1024 * 1024, 0x20))
    expect(bomb.length).toBeLessThan(64 * 1024)
    const before = process.memoryUsage().arrayBuffers
    await refuses(bomb, { status: 413, code: 'request_too_large' }, { 'content-encoding': 'gzip' })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
  })
})

describe('the size of a body', () => {
  const sized = (bytes: number) => {
    const rest = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":""}]}`
    return rest.replace('""', `"${'a'.repeat(bytes - rest.length)}"`)
  }

  it('may be the limit', async () => {
    expect((await app.fetch(post(CHAT, sized(64 * 1024)))).status).toBe(200)
  })

  it('may not be a byte more: 413 that names the limit', async () => {
    const error = await refuses(sized(64 * 1024 + 1), { status: 413, code: 'request_too_large' })
    expect(error).toMatchObject({ details: { limit_bytes: 65_536 } })
  })
})

describe('x-watchllm-metadata', () => {
  it('keeps text beyond ASCII, which headers carry as UTF-8 bytes', async () => {
    const name = { user: 'Zoë', place: '北京' }
    const asBytes = Buffer.from(JSON.stringify(name)).toString('latin1')
    await app.fetch(post(CHAT, HELLO, { 'x-watchllm-metadata': asBytes }))
    expect(JSON.parse(app.records[0]!.metadata!)).toEqual(name)
  })

  it.each(['x-watchllm-metadata', 'x-waddleai-metadata'])('%s is kept with the record', async (name) => {
    await app.fetch(post(CHAT, HELLO, { [name]: '{ "user": "u_1", "tags": ["a"] }' }))
    expect(app.records[0]!.metadata).toBe('{"user":"u_1","tags":["a"]}')
  })

  it.each([
    ['no JSON', 'user=1'],
    ['an array', '[1]'],
    ['a string', '"x"'],
    ['null', 'null'],
    ['cut off', '{"a":'],
    ['more than 2 kB', JSON.stringify({ a: 'x'.repeat(2048) })],
  ])('is refused when it is %s', async (_name, metadata) => {
    await refuses(GOOD, { param: 'x-watchllm-metadata' }, { 'x-watchllm-metadata': metadata })
  })

  it('may be just 2 kB', async () => {
    const metadata = JSON.stringify({ a: 'x'.repeat(2040) })
    expect((await app.fetch(post(CHAT, HELLO, { 'x-watchllm-metadata': metadata }))).status).toBe(200)
  })
})
