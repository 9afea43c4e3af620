import { chatCompletions } from './endpoints/chat-completions.ts'
import { completions } from './endpoints/completions.ts'
import { embeddings } from './endpoints/embeddings.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import { health, livez, readyz } from './endpoints/health.ts'
import { model, models } from './endpoints/models.ts'
import { request } from './endpoints/requests.ts'

/** Every path; `{id}` at the end takes the rest, slashes included. What is not here is a file of the console. */
export const routes: readonly (readonly [method: string, path: string, endpoint: Endpoint])[] = [
  ['POST', '/v1/chat/completions', chatCompletions],
  ['POST', '/v1/completions', completions],
  ['POST', '/v1/embeddings', embeddings],
  ['GET', '/v1/models', models],
  ['GET', '/v1/models/{id}', model],
  ['GET', '/v1/requests/{id}', request],
  ['GET', '/health', health],
  ['GET', '/livez', livez],
  ['GET', '/readyz', readyz],
]
