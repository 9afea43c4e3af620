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
    'openai-images': '/images/generations',
    'openai-speech': '/audio/speech',
    'openai-transcriptions': '/audio/transcriptions',
    'openai-files': '/files',
    'openai-batches': '/batches',
    rerank: '/rerank',
  },
  auth: bearer,
  quirks: {
    plainVectors: 'encoding_format and dimensions are no parameters of its API: it always answers floats',
    textsOnly: 'input is a string or a list of strings',
    dimensionsAs: { name: null, why: 'dimensions is no parameter of its API' },
  },
}
