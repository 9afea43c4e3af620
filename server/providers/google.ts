import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/**
 * The Gemini API. Text goes by its own wire, which alone carries all that its models say; embeddings by its
 * OpenAI-compatible endpoint, which takes the key as a bearer token and answers “Multiple authentication credentials
 * received” to a request that carries it in both ways: hence `sign`.
 * @see https://ai.google.dev/api and https://ai.google.dev/gemini-api/docs/openai
 */
export const google: Provider = {
  id: 'google',
  name: 'Google (Gemini API)',
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  keyVariable: 'GEMINI_API_KEY',
  baseUrlVariable: 'GOOGLE_BASE_URL',
  wires: {
    gemini: { whole: '/models/{model}:generateContent', stream: '/models/{model}:streamGenerateContent?alt=sse' },
    'openai-embeddings': '/openai/embeddings',
  },
  auth: () => [],
  sign: ({ path }, key) => (path.includes('/openai/') ? bearer(key) : ['x-goog-api-key', key]),
  quirks: {
    plainVectors: 'Its OpenAI-compatible embeddings are documented as lists of numbers only',
    maxEmbeddingInputs: { most: 100, why: 'At most 100 requests can be in one batch' },
    textsOnly: 'input is a string or an array of strings',
  },
}
