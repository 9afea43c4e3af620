import { record, textOr } from '../openai-chat/values.ts'

/** What OpenAI names as reasons of a failed response. */
const CODES: ReadonlySet<string> = new Set(['server_error', 'rate_limit_exceeded', 'invalid_prompt'])

export interface FailedStream {
  /** The next sequence number. */
  readonly sequence: number
  /** The response in its last state, as JSON; null when it never began. */
  readonly write: ((error: { readonly code: string; readonly message: string }) => string) | null
}

/**
 * The last two events of a stream that failed. `error` is what OpenAI's SDKs raise, with its members once flat, as
 * OpenAI documents it, and once nested, as it sends it and Open Responses has it; `response.failed` is what others wait
 * for, Codex among them. @param face the error's body in OpenAI's face
 */
export function errorFrames(face: object, { sequence, write }: FailedStream): string {
  const said = record(record(face).error)
  const message = textOr(said.message, 'The stream failed')
  const type = textOr(said.type, 'server_error')
  const code = textOr(said.code, null)
  const param = textOr(said.param, null)
  const error = { type, code, message, param }
  const event = { type: 'error', code, message, param, error: { ...said, ...error }, sequence_number: sequence }
  const frame = `event: error\ndata: ${JSON.stringify(event)}\n\n`
  if (write === null) return frame
  const response = write({ code: code !== null && CODES.has(code) ? code : 'server_error', message })
  return `${frame}event: response.failed\ndata: {"type":"response.failed","response":${response},"sequence_number":${sequence + 1}}\n\n`
}
