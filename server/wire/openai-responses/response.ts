import type { Usage } from '../../../db/model/usage.ts'
import type { AnswerContext, StreamContext } from '../dialect.ts'
import type { Completion, Finish } from '../model.ts'
import { bodyAdditions, markedUsage } from '../openai/additions.ts'
import { decodeLatin1 } from '../openai/chunk.ts'
import type { Additions } from '../wire.ts'
import { type Echo, echoOf, responseId, suffixOf } from './echo.ts'
import { type Naming, outputJson } from './output.ts'
import { namesOf } from './tools.ts'
import { writeResponsesUsage } from './usage.ts'

/** The response object, as JSON text. */

export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  readonly model: string
  /** Items as JSON, with commas between. */
  readonly output: string
  readonly usage?: Usage | null
  readonly finish?: Finish | null
  readonly error?: { readonly code: string; readonly message: string }
  readonly serviceTier?: string | null
  readonly completedAtS?: number | null
  /** What is added to the usage. */
  readonly additions?: Additions | null
  readonly isEstimated?: boolean
}

/** Writes one call's response in its several states; what it repeats of the request is made once. */
export class ResponseText {
  readonly naming: Naming
  readonly #head: string
  readonly #echo: string

  constructor(context: StreamContext) {
    const echo: Echo = echoOf(context)
    this.naming = {
      suffix: suffixOf(context.callId),
      names: namesOf(echo.tools),
      wantsSummary: echo.wantsSummary,
    }
    this.#head = `{"id":"${responseId(context.callId)}","object":"response","created_at":${Math.trunc(context.createdAtS)}`
    this.#echo = JSON.stringify(echo.members).slice(1)
  }

  write(state: ResponseState): string {
    const { status, error = null, usage = null, finish = null, serviceTier = null, completedAtS = null } = state
    const details = status === 'incomplete' ? { reason: finish?.reason === 'filter' ? FILTER : LENGTH } : null
    return (
      `${this.#head},"status":"${status}","completed_at":${completedAtS},"error":${JSON.stringify(error)},` +
      `"incomplete_details":${JSON.stringify(details)},"model":${JSON.stringify(state.model)},` +
      `"output":[${state.output}],"service_tier":${JSON.stringify(serviceTier ?? 'default')},` +
      `"usage":${usage === null ? null : usageJson(usage, state)},${this.#echo}`
    )
  }
}

function usageJson(usage: Usage, { additions = null, isEstimated = false }: ResponseState): string {
  return JSON.stringify(markedUsage(writeResponsesUsage(usage), { additions, isEstimated }))
}

const LENGTH = 'max_output_tokens'
const FILTER = 'content_filter'

/** A turn that the provider cut to be gone on with is not complete either. */
export function statusOf(finish: Finish | null): 'completed' | 'incomplete' {
  return finish !== null && UNFINISHED.has(finish.reason) ? 'incomplete' : 'completed'
}

const UNFINISHED: ReadonlySet<string> = new Set(['length', 'filter', 'pause'])

/** A whole answer as the caller reads it. */
export function writeAnswer(answer: Completion, context: AnswerContext): string {
  const { additions, isEstimated = false } = context
  const response = new ResponseText(context)
  const choice = answer.choices[0]
  const finish = choice?.finish ?? null
  const status = statusOf(finish)
  const tookS = Math.round((additions?.latencyMs ?? 0) / 1000)
  const text = response.write({
    status,
    model: answer.model ?? context.model,
    output: outputJson(choice?.parts ?? [], response.naming, { logprobs: choice?.logprobs ?? null, last: status }).join(
      ',',
    ),
    usage: answer.usage,
    finish,
    serviceTier: answer.serviceTier,
    additions,
    isEstimated,
    completedAtS: status === 'completed' ? Math.trunc(context.createdAtS) + tookS : null,
  })
  return additions === null ? text : `${text.slice(0, -1)},${decodeLatin1(bodyAdditions(additions))}}`
}
