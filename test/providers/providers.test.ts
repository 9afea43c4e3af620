import { describe, expect, it } from 'vitest'
import { PROVIDERS, providerOf, providersWith } from '../../server/providers/index.ts'
import { createSandbox, sandbox } from '../../server/providers/sandbox.ts'

const rows = [...PROVIDERS.values()]
const remote = rows.filter((row) => row.baseUrl !== null && row.id !== 'sandbox')

describe('provider rows', () => {
  it('are found by their id, and only by it', () => {
    for (const [id, row] of PROVIDERS) {
      expect(row.id).toBe(id)
      expect(providerOf(id)).toBe(row)
    }
    expect(providerOf('nobody')).toBeNull()
    expect(providerOf('toString')).toBeNull()
    expect(rows.length).toBeGreaterThanOrEqual(13)
  })

  it.each(rows.map((row) => [row.id, row] as const))('%s: variables, wires and auth are well formed', (id, row) => {
    expect(id).toMatch(/^[a-z][a-z0-9-]*$/)
    expect(row.name).not.toBe('')
    expect(row.keyVariable).toMatch(/^[A-Z0-9_]+_API_KEY$/)
    expect(row.baseUrlVariable).toBe(`${id.toUpperCase().replaceAll('-', '_')}_BASE_URL`)
    expect(Object.keys(row.wires).length).toBeGreaterThan(0)
    for (const path of Object.values(row.wires)) expect(path).toMatch(/^\/[a-z/]+$/)
    const headers = row.auth('key-1')
    expect(headers.length % 2).toBe(0)
    for (let i = 0; i < headers.length; i += 2) expect(headers[i]).toBe(headers[i]!.toLowerCase())
    if (row.keyless !== true) expect(headers).toEqual(['authorization', 'Bearer key-1'])
    for (const reason of Object.values(row.quirks ?? {})) expect(String(reason).length).toBeGreaterThan(20)
  })

  it.each(remote.map((row) => [row.id, row] as const))(
    '%s: its base URL is https, without a slash at the end',
    (_, row) => {
      const url = new URL(row.baseUrl!)
      expect(url.protocol).toBe('https:')
      expect(row.baseUrl).not.toMatch(/\/$/)
      expect(url.search + url.hash).toBe('')
    },
  )

  it('use no variable twice', () => {
    const names = rows.flatMap((row) => [row.keyVariable, row.baseUrlVariable])
    expect(new Set(names).size).toBe(names.length)
  })

  it('put every call at the URL that the provider documents', () => {
    const url = (id: string, wire: 'openai-chat' | 'openai-completions' | 'openai-embeddings') => {
      const row = providerOf(id)!
      return row.wires[wire] === undefined ? null : row.baseUrl + row.wires[wire]
    }
    expect(url('openai', 'openai-embeddings')).toBe('https://api.openai.com/v1/embeddings')
    expect(url('groq', 'openai-chat')).toBe('https://api.groq.com/openai/v1/chat/completions')
    expect(url('openrouter', 'openai-chat')).toBe('https://openrouter.ai/api/v1/chat/completions')
    expect(url('perplexity', 'openai-chat')).toBe('https://api.perplexity.ai/chat/completions')
    expect(url('qwen', 'openai-chat')).toBe('https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions')
    expect(url('meta', 'openai-chat')).toBe('https://api.llama.com/compat/v1/chat/completions')
    expect(url('groq', 'openai-embeddings')).toBeNull()
    expect(url('mistral', 'openai-completions')).toBeNull()
  })

  it('say where stream_options is refused', () => {
    const refusing = rows.filter((row) => row.quirks?.noStreamOptions !== undefined).map((row) => row.id)
    expect(refusing).toEqual(['mistral', 'perplexity'])
  })

  it('need a base URL and no key for ollama, which sends a key only where there is one', () => {
    const ollama = providerOf('ollama')!
    expect([ollama.baseUrl, ollama.keyless]).toEqual([null, true])
    expect(ollama.auth('')).toEqual([])
    expect(ollama.auth('k')).toEqual(['authorization', 'Bearer k'])
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
