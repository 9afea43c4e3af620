import type { Usage } from '../../../db/model/usage.ts'
import type { AnswerContext, ClientDialect, StreamContext, StreamWriter } from '../dialect.ts'
import type { Choice, Completion, Finish, Part, StreamEvent } from '../model.ts'
import { additionsOf, markedUsage } from '../openai/additions.ts'
import { writeOpenaiUsage } from '../openai/usage.ts'
import { writeFinish } from '../openai-chat/finish.ts'
import type { Additions } from '../wire.ts'
import { LegacyLogprobs } from './logprobs.ts'
import { echoOf, readPrompt } from './prompt.ts'

/**
 * Legacy text completions for callers whose model is served by a chat API. There is no dialect for providers: none
 * serves this API alone, and a chat can't be said in it without a template that only the model's maker knows.
 */
export const openaiCompletionsDialect: ClientDialect = {
  id: 'openai-completions',
  readPrompt,
  writeAnswer,
  writeStream: (context) => new CompletionsWriter(context),
}

function writeAnswer(answer: Completion, context: AnswerContext): string {
  const { additions } = context
  const echo = echoOf(context.ask)
  return JSON.stringify({
    id: answer.id ?? answerId(context.callId),
    object: 'text_completion',
    created: answer.createdAtS ?? context.createdAtS,
    model: answer.model ?? context.model,
    choices: answer.choices.map((choice, index) => writeChoice(choice, { echo, index })),
    ...(answer.usage === null ? {} : { usage: markedUsage(writeOpenaiUsage(answer.usage), context) }),
    ...(additions === null ? {} : additionsOf(additions)),
  })
}

function writeChoice({ parts, finish, logprobs }: Choice, { echo, index }: { echo: string; index: number }): object {
  return {
    text: echo + parts.map(textOf).join(''),
    index,
    logprobs: new LegacyLogprobs(echo.length).write(logprobs),
    finish_reason: reasonOf(finish),
  }
}

/** Thoughts and calls of tools have no place here. */
function textOf(part: Part): string {
  return part.type === 'text' || part.type === 'refusal' ? part.text : ''
}

function reasonOf(finish: Finish): string {
  const reason = writeFinish(finish, true)
  return reason === 'tool_calls' ? 'stop' : reason
}

function answerId(callId: string): string {
  return `cmpl-${callId.replace(/^req_/, '')}`
}

class CompletionsWriter implements StreamWriter {
  readonly #context: StreamContext
  readonly #echo: string
  /** What is open in each choice is text. */
  readonly #isText = new Map<number, boolean>()
  readonly #logprobs = new Map<number, LegacyLogprobs>()
  #head = ''
  #usage: Usage | null = null
  #isEstimated = false

  constructor(context: StreamContext) {
    this.#context = context
    this.#echo = echoOf(context.ask)
    this.#begin(null, null, null)
  }

  write(event: StreamEvent): string {
    switch (event.type) {
      case 'start':
        this.#begin(event.id, event.model, event.createdAtS)
        return ''
      case 'part':
        this.#isText.set(event.choice, event.part.type === 'text' || event.part.type === 'refusal')
        return this.#text(event.choice, textOf(event.part), null)
      case 'delta': {
        const { text = '', logprobs = null } = event.delta
        return this.#isText.get(event.choice) === true ? this.#text(event.choice, text, logprobs) : ''
      }
      case 'finish': {
        const echo = this.#logprobs.has(event.choice) ? '' : this.#echo
        return this.#frame(event.choice, echo, { logprobs: null, reason: `"${reasonOf(event.finish)}"` })
      }
      case 'usage':
        this.#usage = event.usage
        this.#isEstimated = event.isEstimated === true
        return ''
      default:
        return ''
    }
  }

  finish(additions: Additions | null): string {
    const done = 'data: [DONE]\n\n'
    const late = additions === null ? '' : JSON.stringify(additionsOf(additions))
    if (!this.#context.ask.wantsUsage || this.#usage === null) {
      return additions === null ? done : `: watchllm ${late}\n\n${done}`
    }
    const more = additions === null ? '' : `,${late.slice(1, -1)}`
    const usage = markedUsage(writeOpenaiUsage(this.#usage), { additions, isEstimated: this.#isEstimated })
    return `${this.#head}"choices":[],"usage":${JSON.stringify(usage)}${more}}\n\n${done}`
  }

  fail(face: object): string {
    return `data: ${JSON.stringify(face)}\n\n`
  }

  #begin(id: string | null, model: string | null, createdAtS: number | null): void {
    const { callId, ...context } = this.#context
    const head = JSON.stringify({
      id: id ?? answerId(callId),
      object: 'text_completion',
      created: createdAtS ?? context.createdAtS,
      model: model ?? context.model,
    })
    this.#head = `data: ${head.slice(0, -1)},`
  }

  #text(choice: number, text: string, logprobs: unknown): string {
    if (text === '' && logprobs === null) return ''
    const known = this.#logprobs.get(choice)
    const legacy = known ?? new LegacyLogprobs(this.#echo.length)
    this.#logprobs.set(choice, legacy)
    const shown = known === undefined ? this.#echo + text : text
    return this.#frame(choice, shown, { logprobs: legacy.write(logprobs), reason: 'null' })
  }

  #frame(choice: number, text: string, { logprobs, reason }: { logprobs: object | null; reason: string }): string {
    const said = `"text":${JSON.stringify(text)},"index":${choice},"logprobs":${JSON.stringify(logprobs)}`
    return `${this.#head}"choices":[{${said},"finish_reason":${reason}}]}\n\n`
  }
}
