import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** Meta's Llama API through its compatibility endpoint. @see https://llama.developer.meta.com/docs/features/compatibility */
export const meta: Provider = {
  id: 'meta',
  name: 'Meta (Llama API)',
  baseUrl: 'https://api.llama.com/compat/v1',
  keyVariable: 'LLAMA_API_KEY',
  baseUrlVariable: 'META_BASE_URL',
  wires: { 'openai-chat': '/chat/completions' },
  auth: bearer,
}
