import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/**
 * International site; keys of the Chinese one need SILICONFLOW_BASE_URL=https://api.siliconflow.cn/v1.
 * @see https://docs.siliconflow.com/en/api-reference
 */
export const siliconflow: Provider = {
  id: 'siliconflow',
  name: 'SiliconFlow',
  baseUrl: 'https://api.siliconflow.com/v1',
  keyVariable: 'SILICONFLOW_API_KEY',
  baseUrlVariable: 'SILICONFLOW_BASE_URL',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-embeddings': '/embeddings',
    'openai-images': '/images/generations',
    'openai-speech': '/audio/speech',
    'openai-transcriptions': '/audio/transcriptions',
    rerank: '/rerank',
  },
  auth: bearer,
  quirks: {
    maxEmbeddingInputs: { most: 32, why: 'The maximum array size of input is 32' },
    textsOnly: 'input is a string or an array of strings',
  },
}
