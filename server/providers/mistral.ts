import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/** Legacy completions exist only as `/fim/completions`, another dialect. @see https://docs.mistral.ai/api */
export const mistral: Provider = {
  id: 'mistral',
  name: 'Mistral AI',
  baseUrl: 'https://api.mistral.ai/v1',
  keyVariable: 'MISTRAL_API_KEY',
  baseUrlVariable: 'MISTRAL_BASE_URL',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-embeddings': '/embeddings',
    'openai-transcriptions': '/audio/transcriptions',
    'openai-moderations': '/moderations',
    'openai-files': '/files',
  },
  auth: bearer,
  quirks: {
    noStreamOptions:
      'Refused with 422 extra_forbidden at body.stream_options.include_usage; usage comes unasked in the last chunk',
    plainVectors: 'encoding_format is unknown to mistral-embed: it always answers 1024 floats',
    maxEmbeddingInputs: { most: 256, why: 'Too many inputs in request, split into more batches: from 257 on' },
    textsOnly: 'input is a string or an array of strings',
    dimensionsAs: { name: 'output_dimension', why: 'Its own name, for the models that can: codestral-embed' },
  },
}
