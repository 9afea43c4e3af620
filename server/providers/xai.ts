import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** @see https://docs.x.ai/docs/api-reference */
export const xai: Provider = {
  id: 'xai',
  name: 'xAI',
  baseUrl: 'https://api.x.ai/v1',
  keyVariable: 'XAI_API_KEY',
  baseUrlVariable: 'XAI_BASE_URL',
  wires: {
    'openai-responses': '/responses',
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-images': '/images/generations',
  },
  auth: bearer,
}
