import { anthropicCountTokens } from '../wire/anthropic-messages/count-tokens.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/messages/count_tokens`: the provider's own count, or an estimate where it has none. */
export const countTokens = callModel({ name: 'messages.count_tokens', wire: anthropicCountTokens })
