import { Buffer } from 'node:buffer'
import type { Ask } from '../wire.ts'
import { type KeptFace, withFace } from './kept-answer.ts'
import { ResponseText } from './response.ts'

export interface BackgroundState {
  readonly status: 'queued' | 'in_progress' | 'completed' | 'failed'
  readonly error?: { readonly code: string; readonly message: string }
}

/** A response in the background that has nothing to show yet, or never will, as JSON text. */
export function backgroundText(
  call: { readonly id: string; readonly ask: Ask; readonly createdAtS: number },
  face: KeptFace,
  { status, error }: BackgroundState,
): string {
  const { ask } = call
  const text = new ResponseText({ ask, callId: call.id, createdAtS: call.createdAtS, model: ask.model })
  const state = { status: status === 'queued' ? ('in_progress' as const) : status, model: ask.model, output: '' }
  const response = Buffer.from(text.write(error === undefined ? state : { ...state, error }))
  return withStatus(withFace(response, face), status)
}

/** The response in another status. @param response JSON bytes */
export function withStatus(response: Uint8Array | string, status: string): string {
  const value = JSON.parse(Buffer.from(response).toString()) as object
  return JSON.stringify({ ...value, status })
}
