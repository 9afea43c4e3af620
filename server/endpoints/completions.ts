import { openaiCompletions } from '../wire/openai-completions/wire.ts'
import { callModel } from './call-model.ts'

/** `POST /v1/completions` */
export const completions = callModel({ name: 'completions', wire: openaiCompletions })
