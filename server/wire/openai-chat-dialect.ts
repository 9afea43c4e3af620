import type { ClientDialect, ProviderDialect } from './dialect.ts'
import { writeAnswer } from './openai-chat-answer.ts'
import { readPrompt } from './openai-chat-prompt.ts'
import { readAnswer } from './openai-chat-read-answer.ts'
import { ChatReader } from './openai-chat-reader.ts'
import { writePrompt } from './openai-chat-write.ts'
import { ChatWriter } from './openai-chat-writer.ts'

/** OpenAI's chat completions, and what has grown on them, in words of the canonical model. */
export const openaiChatDialect: ClientDialect & ProviderDialect = {
  id: 'openai-chat',
  readPrompt,
  writeAnswer,
  writeStream: (context) => new ChatWriter(context),
  writePrompt,
  readAnswer,
  readStream: (callId) => new ChatReader(callId),
}
