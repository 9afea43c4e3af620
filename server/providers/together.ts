import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** @see https://docs.together.ai/docs/openai-api-compatibility */
export const together: Provider = {
  id: 'together',
  name: 'Together AI',
  baseUrl: 'https://api.together.xyz/v1',
  keyVariable: 'TOGETHER_API_KEY',
  baseUrlVariable: 'TOGETHER_BASE_URL',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
  },
  auth: bearer,
  quirks: { plainVectors: 'encoding_format and dimensions are no parameters of its API: it always answers floats' },
}
