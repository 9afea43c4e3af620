import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** Its Compatibility API, OpenAI's dialect, and rerank. @see https://docs.cohere.com/docs/compatibility-api */
export const cohere: Provider = {
  id: 'cohere',
  name: 'Cohere',
  baseUrl: 'https://api.cohere.ai',
  keyVariable: 'COHERE_API_KEY',
  baseUrlVariable: 'COHERE_BASE_URL',
  wires: {
    'openai-chat': '/compatibility/v1/chat/completions',
    'openai-embeddings': '/compatibility/v1/embeddings',
    rerank: '/v2/rerank',
  },
  probe: '/v1/models',
  auth: bearer,
  quirks: {
    noStreamOptions: 'The Compatibility API rejects the field stream_options',
    plainVectors: 'Its embeddings take input, model and encoding_format only; numbers are sure on every model',
    maxEmbeddingInputs: { most: 96, why: 'The maximum number of texts per call is 96' },
    textsOnly: 'input takes texts only',
    dimensionsAs: { name: null, why: 'The Compatibility API has no parameter for it' },
  },
}
