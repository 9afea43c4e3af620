import { describe, expect, it } from 'vitest'
import { PROVIDERS, providerOf, providersWith } from '../../server/providers/index.ts'
import type { WirePath, WirePaths } from '../../server/providers/provider.ts'
import { pathOf, wiresSpoken } from '../../server/providers/request.ts'
import { createSandbox, sandbox } from '../../server/providers/sandbox.ts'
import type { WireId } from '../../server/wire/wire.ts'

const rows = [...PROVIDERS.values()]
const remote = rows.filter((row) => row.baseUrl !== null && row.id !== 'sandbox')
const CONTRACT = [
  ...['openai', 'anthropic', 'google', 'groq', 'deepseek', 'mistral', 'cohere', 'xai', 'perplexity', 'qwen', 'meta'],
  ...['siliconflow', 'together', 'openrouter', 'ollama', 'azure-openai', 'bedrock'],
]
const TEXT: readonly WireId[] = ['openai-chat', 'openai-responses', 'anthropic-messages', 'gemini']

function pathsIn(paths: WirePaths | undefined): string[] {
  return Object.values(paths ?? {}).flatMap((path: WirePath) =>
    typeof path === 'string' ? [path] : [path.whole, path.stream],
  )
}

/** How each row carries its key on a request: by `auth`, or by `sign` where that depends on the request. */
function keyHeaders(id: string, key: string, path = '/x'): string[] {
  const row = providerOf(id)!
  const request = { origin: 'https://provider.test', path, method: 'POST', headers: [], body: null } as const
  return [...row.auth(key), ...(row.sign?.(request, key, 0) ?? [])]
}

describe('provider rows', () => {
  it('are found by their id, and only by it', () => {
    for (const [id, row] of PROVIDERS) {
      expect(row.id).toBe(id)
      expect(providerOf(id)).toBe(row)
    }
    expect(providerOf('nobody')).toBeNull()
    expect(providerOf('toString')).toBeNull()
  })

  it('are the 17 of the contract, and the sandbox', () => {
    expect([...PROVIDERS.keys()].sort()).toEqual([...CONTRACT, 'sandbox'].sort())
  })

  it('speak at least one wire of text each', () => {
    for (const row of rows) expect(TEXT.some((wire) => row.wires[wire] !== undefined)).toBe(true)
  })

  it.each(rows.map((row) => [row.id, row] as const))('%s: variables, wires and auth are well formed', (id, row) => {
    expect(id).toMatch(/^[a-z][a-z0-9-]*$/)
    expect(row.name).not.toBe('')
    expect(row.keyVariable).toMatch(id === 'bedrock' ? /^AWS_BEARER_TOKEN_BEDROCK$/ : /^[A-Z0-9_]+_API_KEY$/)
    expect(row.baseUrlVariable).toBe(`${id.toUpperCase().replaceAll('-', '_')}_BASE_URL`)
    expect(Object.keys(row.wires).length).toBeGreaterThan(0)
    for (const path of [...pathsIn(row.wires), ...pathsIn(row.dated?.wires)]) {
      expect(path).toMatch(/^(\/([a-z0-9_-]+|\{model\}(:[a-zA-Z]+)?))+(\?(alt=sse|api-version=\{version\}))?$/)
    }
    for (const list of [row.auth('key-1'), row.headers ?? []]) {
      expect(list.length % 2).toBe(0)
      for (let i = 0; i < list.length; i += 2) expect(list[i]).toBe(list[i]!.toLowerCase())
    }
    for (const name of row.forwards ?? []) expect(name).toMatch(/^[a-z-]+$/)
    const { body, ...others } = row.quirks ?? {}
    for (const quirk of [...Object.values(others), ...Object.values(body ?? {})]) {
      expect((typeof quirk === 'string' ? quirk : quirk.why).length).toBeGreaterThan(20)
    }
    expect(row.quirks?.maxEmbeddingInputs?.most ?? 1).toBeGreaterThan(0)
  })

  it.each(rows.filter((row) => row.keyless !== true).map((row) => row.id))(
    '%s: carries the key in exactly one header',
    (id) => {
      const own: Record<string, string[]> = {
        anthropic: ['x-api-key', 'key-1'],
        google: ['x-goog-api-key', 'key-1'],
        'azure-openai': ['api-key', 'key-1'],
      }
      expect(keyHeaders(id, 'key-1')).toEqual(own[id] ?? ['authorization', 'Bearer key-1'])
    },
  )

  it('never forward a header that carries a key or the caller’s own account', () => {
    const secret = /authorization|cookie|api-key|organization|project|watchllm|waddleai/
    for (const row of rows) for (const name of row.forwards ?? []) expect(name).not.toMatch(secret)
  })

  it.each(remote.map((row) => [row.id, row] as const))(
    '%s: its base URL is https, without a slash at the end',
    (_, row) => {
      const url = new URL(row.baseUrl!.replace(/\{[A-Z_]+\}/g, 'place'))
      expect(url.protocol).toBe('https:')
      expect(row.baseUrl).not.toMatch(/\/$/)
      expect(url.search + url.hash).toBe('')
    },
  )

  it('use no variable twice', () => {
    const names = rows.flatMap((row) => [row.keyVariable, row.baseUrlVariable])
    expect(new Set(names).size).toBe(names.length)
  })

  it.each([
    ['openai', 'openai-responses', 'https://api.openai.com/v1/responses'],
    ['openai', 'openai-embeddings', 'https://api.openai.com/v1/embeddings'],
    ['anthropic', 'anthropic-messages', 'https://api.anthropic.com/v1/messages'],
    ['anthropic', 'anthropic-count-tokens', 'https://api.anthropic.com/v1/messages/count_tokens'],
    ['google', 'gemini', 'https://generativelanguage.googleapis.com/v1beta/models/m%3A1%2Fx:generateContent'],
    ['google', 'openai-embeddings', 'https://generativelanguage.googleapis.com/v1beta/openai/embeddings'],
    ['cohere', 'openai-chat', 'https://api.cohere.ai/compatibility/v1/chat/completions'],
    ['cohere', 'rerank', 'https://api.cohere.ai/v2/rerank'],
    ['openai', 'openai-images', 'https://api.openai.com/v1/images/generations'],
    ['groq', 'openai-transcriptions', 'https://api.groq.com/openai/v1/audio/transcriptions'],
    ['groq', 'openai-chat', 'https://api.groq.com/openai/v1/chat/completions'],
    ['deepseek', 'openai-responses', 'https://api.deepseek.com/responses'],
    ['deepseek', 'openai-chat', 'https://api.deepseek.com/chat/completions'],
    ['openrouter', 'openai-responses', 'https://openrouter.ai/api/v1/responses'],
    ['perplexity', 'openai-chat', 'https://api.perplexity.ai/chat/completions'],
    ['qwen', 'openai-chat', 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions'],
    ['meta', 'openai-chat', 'https://api.llama.com/compat/v1/chat/completions'],
    ['xai', 'openai-responses', 'https://api.x.ai/v1/responses'],
    ['bedrock', 'anthropic-messages', 'https://bedrock-runtime.{AWS_REGION}.amazonaws.com/model/m%3A1%2Fx/invoke'],
    ['bedrock', 'openai-responses', 'https://bedrock-runtime.{AWS_REGION}.amazonaws.com/openai/v1/responses'],
  ] as const)('put %s %s where the provider documents it', (id, wire, url) => {
    const row = providerOf(id)!
    expect(row.baseUrl + pathOf(row, wire, { model: 'm:1/x', stream: false })!).toBe(url)
  })

  it('have no path for a wire that they do not speak', () => {
    const wanted = { model: 'm', stream: false }
    expect(pathOf(providerOf('groq')!, 'openai-embeddings', wanted)).toBeNull()
    expect(pathOf(providerOf('mistral')!, 'openai-completions', wanted)).toBeNull()
    expect(pathOf(providerOf('anthropic')!, 'openai-chat', wanted)).toBeNull()
  })

  it('say where stream_options is refused', () => {
    const refusing = rows.filter((row) => row.quirks?.noStreamOptions !== undefined).map((row) => row.id)
    expect(refusing).toEqual(['mistral', 'cohere', 'perplexity'])
  })

  it('need a base URL and no key for ollama, which sends a key only where there is one', () => {
    const ollama = providerOf('ollama')!
    expect([ollama.baseUrl, ollama.keyless]).toEqual([null, true])
    expect(ollama.auth('')).toEqual([])
    expect(ollama.auth('k')).toEqual(['authorization', 'Bearer k'])
  })
})

describe('pathOf()', () => {
  const bedrock = providerOf('bedrock')!
  const google = providerOf('google')!
  const azure = providerOf('azure-openai')!

  it('gives streams a path of their own where there is one', () => {
    const model = 'us.anthropic.claude-haiku-4-5-20251001-v1:0'
    expect(pathOf(bedrock, 'anthropic-messages', { model, stream: true })).toBe(
      '/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke-with-response-stream',
    )
    expect(pathOf(google, 'gemini', { model: 'gemini-2.5-pro', stream: true })).toBe(
      '/models/gemini-2.5-pro:streamGenerateContent?alt=sse',
    )
  })

  it.each(['../x', '?a=b', '#f', 'a b', 'é', '$&', '{version}', 'arn:aws:bedrock:us-east-1:1:x/y'])(
    'keeps the model %s within its segment',
    (model) => {
      const path = pathOf(bedrock, 'anthropic-messages', { model, stream: false })!
      expect(path.split('/')).toHaveLength(4)
      expect(new URL(path, 'https://x.test').pathname).toBe(path)
      expect(decodeURIComponent(path.split('/')[2]!)).toBe(model)
    },
  )

  it.each(['', '.', '..'])('has no path for the model "%s", which would leave its segment', (model) => {
    expect(pathOf(bedrock, 'anthropic-messages', { model, stream: false })).toBeNull()
    expect(pathOf(bedrock, 'openai-chat', { model, stream: false })).toBe('/openai/v1/chat/completions')
  })

  it('asks azure for a dated version only when the operator set one', () => {
    const wanted = { model: 'my gpt', stream: false }
    expect(pathOf(azure, 'openai-chat', wanted)).toBe('/openai/v1/chat/completions')
    expect(pathOf(azure, 'openai-chat', { ...wanted, version: '2024-10-21' })).toBe(
      '/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21',
    )
    expect(pathOf(azure, 'openai-responses', { ...wanted, version: '2024-10-21' })).toBeNull()
    expect(pathOf(google, 'gemini', { ...wanted, version: '2024-10-21' })).toBe('/models/my%20gpt:generateContent')
  })
})

describe('wiresSpoken()', () => {
  it('lists the wires of text in the order that the provider serves best, and those of a dated version by themselves', () => {
    expect(wiresSpoken(providerOf('openai')!, null).slice(0, 2)).toEqual(['openai-responses', 'openai-chat'])
    expect(wiresSpoken(providerOf('deepseek')!, null)).toEqual(['openai-chat', 'openai-responses'])
    expect(wiresSpoken(providerOf('bedrock')!, '2024-10-21')[0]).toBe('anthropic-messages')
    expect(wiresSpoken(providerOf('azure-openai')!, null)[0]).toBe('openai-responses')
    const dated = wiresSpoken(providerOf('azure-openai')!, '2024-10-21')
    expect(dated).toEqual(['openai-chat', 'openai-completions', 'openai-embeddings'])
    for (const row of rows) {
      for (const version of [null, '2024-10-21']) {
        for (const wire of wiresSpoken(row, version)) {
          expect(pathOf(row, wire, { model: 'm', stream: true, version })).not.toBeNull()
        }
      }
    }
  })
})

describe('google', () => {
  it('carries the key once: its own header for its own wire, a bearer token for the OpenAI-compatible one', () => {
    expect(keyHeaders('google', 'k', '/v1beta/models/gemini-2.5-pro:generateContent')).toEqual(['x-goog-api-key', 'k'])
    expect(keyHeaders('google', 'k', '/v1beta/openai/embeddings')).toEqual(['authorization', 'Bearer k'])
  })
})

describe('providersWith()', () => {
  it('gives the sandbox its upstream and leaves the others as they are', () => {
    const upstream = createSandbox({ now: () => 0 })
    const find = providersWith(upstream)
    expect(find('sandbox')).toEqual({ ...sandbox, inProcess: upstream })
    expect(find('openai')).toBe(providerOf('openai'))
    expect(find('nobody')).toBeNull()
    expect(providerOf('sandbox')?.inProcess).toBeUndefined()
  })
})
