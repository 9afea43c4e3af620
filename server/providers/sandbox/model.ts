import { Refusal } from './reply.ts'

export type Behaviour = 'answer' | 'echo' | 'slow' | 'cut'

export interface SandboxModel {
  readonly behaviour: Behaviour
  /** Thinks before it answers unless told not to. */
  readonly reasons: boolean
  readonly contextLength: number
  readonly maxOutputTokens: number
}

const PLAIN: SandboxModel = { behaviour: 'answer', reasons: false, contextLength: 128_000, maxOutputTokens: 16_384 }

const MODELS: ReadonlyMap<string, SandboxModel> = new Map([
  ['chat', PLAIN],
  ['reasoning', { ...PLAIN, reasons: true }],
  ['echo', { ...PLAIN, behaviour: 'echo' }],
  ['slow', { ...PLAIN, behaviour: 'slow' }],
  ['cut', { ...PLAIN, behaviour: 'cut' }],
  ['embedding', PLAIN],
])

interface ErrorText {
  readonly type: string
  readonly code: string | null
  readonly message: string
}

const ERRORS: Readonly<Record<number, ErrorText>> = {
  400: { type: 'invalid_request_error', code: null, message: 'The sandbox refuses this request, as asked.' },
  401: { type: 'invalid_request_error', code: 'invalid_api_key', message: 'Incorrect API key provided.' },
  403: { type: 'invalid_request_error', code: 'unsupported_country_region_territory', message: 'Not allowed here.' },
  404: { type: 'invalid_request_error', code: 'model_not_found', message: 'The model does not exist.' },
  429: { type: 'requests', code: 'rate_limit_exceeded', message: 'Rate limit reached. Please try again in 1s.' },
  500: { type: 'server_error', code: null, message: 'The server had an error while processing your request.' },
  503: { type: 'server_error', code: 'overloaded', message: 'The engine is currently overloaded.' },
}

/**
 * What a model name asks of the sandbox. Names outside `sandbox/` are answered like `sandbox/chat`, so that any
 * client's default model works with a test key. @throws Refusal for `sandbox/error-NNN` and unknown `sandbox/` names.
 */
export function sandboxModel(name: string): SandboxModel {
  if (!name.startsWith('sandbox/')) return PLAIN
  const own = name.slice('sandbox/'.length)
  const found = MODELS.get(own)
  if (found !== undefined) return found
  const error = /^error-([45]\d\d)$/.exec(own)
  if (error === null) {
    throw new Refusal(
      `The model '${name.slice(0, 128)}' does not exist or you do not have access to it.`,
      'model',
      'model_not_found',
      { status: 404 },
    )
  }
  const status = Number(error[1])
  const { type, code, message } = ERRORS[status] ?? ERRORS[status < 500 ? 400 : 500]!
  throw new Refusal(message, null, code, { status, type })
}
