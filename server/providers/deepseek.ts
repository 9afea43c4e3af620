import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/**
 * Its fill-in-the-middle completions live under another base path (`/beta`), so they are not in this row.
 * @see https://api-docs.deepseek.com
 */
export const deepseek: Provider = {
  id: 'deepseek',
  name: 'DeepSeek',
  baseUrl: 'https://api.deepseek.com/v1',
  keyVariable: 'DEEPSEEK_API_KEY',
  baseUrlVariable: 'DEEPSEEK_BASE_URL',
  wires: { 'openai-chat': '/chat/completions' },
  auth: bearer,
}
