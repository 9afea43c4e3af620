import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/**
 * The operator's own machine: no key, and no base URL that could be right for everyone, so it is configured by
 * OLLAMA_BASE_URL (usually http://127.0.0.1:11434/v1). A key is sent where one is set: proxies before it ask for one.
 * @see https://docs.ollama.com/api/openai-compatibility
 */
export const ollama: Provider = {
  id: 'ollama',
  name: 'Ollama',
  baseUrl: null,
  keyVariable: 'OLLAMA_API_KEY',
  baseUrlVariable: 'OLLAMA_BASE_URL',
  keyless: true,
  wires: {
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
  },
  auth: (key) => (key === '' ? [] : bearer(key)),
  quirks: {
    plainVectors: 'Older versions ignore encoding_format and dimensions',
    textsOnly: 'input as an array of tokens is not supported',
  },
}
