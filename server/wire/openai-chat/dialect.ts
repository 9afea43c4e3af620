import type { ClientDialect, ProviderDialect } from '../dialect.ts'
import { fromTextTools, readTextTools, withTextTools } from '../text-tools.ts'
import { writeAnswer } from './answer.ts'
import { readPrompt } from './prompt.ts'
import { readAnswer } from './read-answer.ts'
import { ChatReader } from './reader.ts'
import { isOpenaiModel } from './tools.ts'
import { writePrompt } from './write.ts'
import { ChatWriter } from './writer.ts'

/** OpenAI's chat completions, and what has grown on them, in words of the canonical model. */
export const openaiChatDialect: ClientDialect & ProviderDialect = {
  id: 'openai-chat',
  readPrompt,
  writeAnswer,
  writeStream: (context) => new ChatWriter(context),
  writePrompt(prompt, options) {
    // Of all that speak chat, only OpenAI's own models know tools that take plain text.
    if (isOpenaiModel(options.model)) return writePrompt(prompt, options)
    const made = withTextTools(prompt)
    const { body, adapted } = writePrompt(made.prompt, options)
    return { body, adapted: [...made.adapted, ...adapted] }
  },
  readAnswer: (answer, callId) => fromTextTools(readAnswer(answer, callId)),
  readStream: (callId) => readTextTools(new ChatReader(callId)),
}
