import { passThrough } from './pass-through.ts'

/** `POST /v1/rerank`, in Cohere's words: `query`, `documents`, `top_n` */
export const rerank = passThrough({ name: 'rerank', wire: 'rerank', home: 'cohere', model: null })
