import type { Provider } from './provider.ts'

/** @see https://platform.claude.com/docs/en/api/messages */
export const anthropic: Provider = {
  id: 'anthropic',
  name: 'Anthropic',
  baseUrl: 'https://api.anthropic.com/v1',
  keyVariable: 'ANTHROPIC_API_KEY',
  baseUrlVariable: 'ANTHROPIC_BASE_URL',
  wires: { 'anthropic-messages': '/messages', 'anthropic-count-tokens': '/messages/count_tokens' },
  auth: (key) => ['x-api-key', key],
  headers: ['anthropic-version', '2023-06-01'],
  forwards: ['anthropic-version', 'anthropic-beta'],
}
