import { gemini } from '../wire/gemini/wire.ts'
import type { SaidInPath } from '../wire/wire.ts'
import { callModel } from './call-model.ts'

const METHOD = /^(?:models\/)?(.+):(generateContent|streamGenerateContent)$/

/** `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`, as Google's own clients call them */
export const generateContent = callModel({ name: 'generate_content', wire: gemini }, say)

function say(id: string): SaidInPath | null {
  const found = METHOD.exec(id)
  return found === null ? null : { model: found[1]!, stream: found[2] === 'streamGenerateContent' }
}
