import { openaiEmbeddings } from '../wire/openai-embeddings/wire.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/embeddings` */
export const embeddings = callModel({ name: 'embeddings', wire: openaiEmbeddings })
