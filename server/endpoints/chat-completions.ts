import { openaiChat } from '../wire/openai-chat/wire.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/chat/completions` */
export const chatCompletions = callModel({ name: 'chat.completions', wire: openaiChat })
