import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** @see https://openrouter.ai/docs/api-reference/overview */
export const openrouter: Provider = {
  id: 'openrouter',
  name: 'OpenRouter',
  baseUrl: 'https://openrouter.ai/api/v1',
  keyVariable: 'OPENROUTER_API_KEY',
  baseUrlVariable: 'OPENROUTER_BASE_URL',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-responses': '/responses',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
  },
  // Its list of models is open to anybody.
  probe: '/key',
  auth: bearer,
  // By which it shows whose application calls.
  forwards: ['http-referer', 'x-title'],
  quirks: {
    plainVectors: 'Many vendors stand behind it: some ignore encoding_format and dimensions',
    statelessResponses: 'Each request is independent: the whole conversation must be sent every time',
  },
}
