import { openaiInputTokens } from '../wire/openai-responses/input-tokens.ts'
import { callModel } from './call-model.ts'

/**
 * `POST /v1/responses/input_tokens`: an estimate of what a model would read, all that the request goes on from included.
 * It costs nothing, and nothing is kept of it.
 */
export const responseInputTokens = callModel({
  name: 'responses.input_tokens',
  wire: openaiInputTokens,
  keeps: true,
  rewrite: (body) => body,
})
