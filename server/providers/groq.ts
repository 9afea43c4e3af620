import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** It serves neither embeddings nor legacy completions. @see https://console.groq.com/docs/openai */
export const groq: Provider = {
  id: 'groq',
  name: 'Groq',
  baseUrl: 'https://api.groq.com/openai/v1',
  keyVariable: 'GROQ_API_KEY',
  baseUrlVariable: 'GROQ_BASE_URL',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-speech': '/audio/speech',
    'openai-transcriptions': '/audio/transcriptions',
    'openai-translations': '/audio/translations',
    'openai-files': '/files',
    'openai-batches': '/batches',
  },
  auth: bearer,
}
