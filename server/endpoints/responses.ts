import { openaiResponses } from '../wire/openai-responses/wire.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/responses` */
export const responses = callModel({ name: 'responses', wire: openaiResponses, keeps: true })
