import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/**
 * Chat answers under `/v1` as well, Responses only here. Its fill-in-the-middle completions are a beta of another
 * dialect, so they are not in this row.
 * @see https://api-docs.deepseek.com
 */
export const deepseek: Provider = {
  id: 'deepseek',
  name: 'DeepSeek',
  baseUrl: 'https://api.deepseek.com',
  keyVariable: 'DEEPSEEK_API_KEY',
  baseUrlVariable: 'DEEPSEEK_BASE_URL',
  wires: { 'openai-chat': '/chat/completions', 'openai-responses': '/responses' },
  auth: bearer,
  quirks: { statelessResponses: 'store, previous_response_id and retrieval are not supported' },
}
