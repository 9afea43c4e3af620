import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** @see https://platform.openai.com/docs/api-reference */
export const openai: Provider = {
  id: 'openai',
  name: 'OpenAI',
  baseUrl: 'https://api.openai.com/v1',
  keyVariable: 'OPENAI_API_KEY',
  baseUrlVariable: 'OPENAI_BASE_URL',
  wires: {
    'openai-responses': '/responses',
    'openai-chat': '/chat/completions',
    'openai-completions': '/completions',
    'openai-embeddings': '/embeddings',
    'openai-images': '/images/generations',
    'openai-image-edits': '/images/edits',
    'openai-image-variations': '/images/variations',
    'openai-speech': '/audio/speech',
    'openai-transcriptions': '/audio/transcriptions',
    'openai-translations': '/audio/translations',
    'openai-moderations': '/moderations',
    'openai-files': '/files',
    'openai-batches': '/batches',
  },
  followsOpenai: true,
  auth: bearer,
  forwards: ['openai-beta'],
  quirks: { maxEmbeddingInputs: { most: 2048, why: 'The input array must have 2048 entries or fewer' } },
}
