import type { ClientDialect, ProviderDialect } from '../dialect.ts'
import { readMessagesAnswer } from './read-answer.ts'
import { readMessagesPrompt } from './read-prompt.ts'
import { AnthropicStreamReader } from './stream-reader.ts'
import { AnthropicStreamWriter } from './stream-writer.ts'
import { writeMessagesAnswer } from './write-answer.ts'
import { writeMessagesPrompt } from './write-prompt.ts'

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
