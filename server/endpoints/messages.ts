import { anthropicMessages } from '../wire/anthropic-messages/wire.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/messages` */
export const messages = callModel({ name: 'messages', wire: anthropicMessages })
