import { TRPCError } from '@trpc/server'
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc'
import { z } from 'zod'
import type { Log } from '../deps.ts'
import { asGatewayError, GatewayError, openaiFace } from '../errors.ts'
import type { FaultShape } from './fault-shape.ts'

type TrpcCode = FaultShape['data']['code']

/** tRPC's word for a status. */
const CODES: Readonly<Record<number, TrpcCode>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  402: 'PAYMENT_REQUIRED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_SUPPORTED',
  409: 'CONFLICT',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'TOO_MANY_REQUESTS',
  502: 'BAD_GATEWAY',
  503: 'SERVICE_UNAVAILABLE',
  504: 'GATEWAY_TIMEOUT',
}

/** The error that a caller gets for whatever was thrown: a bug of ours says nothing of itself. */
export function faultOf(thrown: unknown): GatewayError {
  if (!(thrown instanceof TRPCError)) return asGatewayError(thrown)
  const { code, cause } = thrown
  if (cause instanceof GatewayError) return cause
  switch (code) {
    case 'BAD_REQUEST':
      return cause instanceof z.core.$ZodError ? inputFault(cause) : new GatewayError('invalid_request', thrown.message)
    case 'PARSE_ERROR':
      return new GatewayError('invalid_request', 'The body or the input is not valid JSON')
    case 'NOT_FOUND':
      return new GatewayError('not_found', 'There is no such procedure')
    case 'METHOD_NOT_SUPPORTED':
      return new GatewayError('invalid_request', 'Queries are read by GET, mutations sent by POST', { status: 405 })
    case 'UNSUPPORTED_MEDIA_TYPE':
      return unsupportedMedia()
    case 'PAYLOAD_TOO_LARGE':
      return new GatewayError('request_too_large', thrown.message)
    default:
      return asGatewayError(cause ?? thrown)
  }
}

/** 415: what is sent must be JSON. */
export function unsupportedMedia(): GatewayError {
  return new GatewayError('invalid_request', 'Send the body as application/json', { status: 415 })
}

/** 400 that names the first member at fault, such as `limits.requests_per_minute`. */
export function inputFault({ issues }: z.core.$ZodError): GatewayError {
  const issue = issues[0]
  const param = issue === undefined ? '' : paramOf(issue)
  const message = issue?.message ?? 'The input is not valid'
  return new GatewayError('invalid_request', param === '' ? message : `"${param}": ${message}`, {
    param: param === '' ? null : param,
  })
}

function paramOf(issue: z.core.$ZodIssue): string {
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return text.startsWith('.') ? text.slice(1) : text
}

export function faultShape(thrown: unknown, path: string | undefined, requestId: string | undefined): FaultShape {
  const fault = faultOf(thrown)
  const code = CODES[fault.status] ?? 'INTERNAL_SERVER_ERROR'
  const error = openaiFace(fault).error as FaultShape['data']['error']
  const data = { code, httpStatus: fault.status, path: path ?? null, requestId: requestId ?? null, error }
  return { message: fault.message, code: TRPC_ERROR_CODES_BY_KEY[code], data }
}

/** Tells the log of what went wrong with us; what a caller did wrong is theirs. */
export function logFault(log: Log, thrown: unknown, fields: Readonly<Record<string, unknown>>): void {
  const fault = faultOf(thrown)
  if (fault.status < 500) return
  log.error('A request of the control plane failed', { ...fields, code: fault.code, cause: fault.cause ?? fault })
}
