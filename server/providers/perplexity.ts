import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** No version in its path, no embeddings. @see https://docs.perplexity.ai/api-reference */
export const perplexity: Provider = {
  id: 'perplexity',
  name: 'Perplexity',
  baseUrl: 'https://api.perplexity.ai',
  keyVariable: 'PERPLEXITY_API_KEY',
  baseUrlVariable: 'PERPLEXITY_BASE_URL',
  wires: { 'openai-chat': '/chat/completions' },
  // Its reference has nothing that asks for a key and is free.
  probe: null,
  auth: bearer,
  quirks: { noStreamOptions: 'Not a parameter of its API: each chunk carries the usage so far, unasked' },
}
