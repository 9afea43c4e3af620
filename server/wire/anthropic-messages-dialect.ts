import { readMessagesAnswer } from './anthropic-read-answer.ts'
import { readMessagesPrompt } from './anthropic-read-prompt.ts'
import { AnthropicStreamReader } from './anthropic-stream-reader.ts'
import { AnthropicStreamWriter } from './anthropic-stream-writer.ts'
import { writeMessagesAnswer } from './anthropic-write-answer.ts'
import { writeMessagesPrompt } from './anthropic-write-prompt.ts'
import type { ClientDialect, ProviderDialect } from './dialect.ts'

/**
 * Anthropic's Messages for calls that cross wires. What is written is good for both published versions of the API, apart
 * from `temperature`, `top_p` and `top_k`, which 2026-10-21 refuses: `facts.refuses` must name them for it.
 */
export const anthropicMessagesDialect: ClientDialect & ProviderDialect = {
  id: 'anthropic-messages',
  readPrompt: readMessagesPrompt,
  writeAnswer: writeMessagesAnswer,
  writeStream: (context) => new AnthropicStreamWriter(context),
  writePrompt: writeMessagesPrompt,
  readAnswer: readMessagesAnswer,
  readStream: () => new AnthropicStreamReader(),
}
