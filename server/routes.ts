import { api } from './endpoints/api.ts'
import { speech, transcriptions, translations } from './endpoints/audio.ts'
import { balance } from './endpoints/balance.ts'
import { batch, batches, cancelBatch, createBatch } from './endpoints/batches.ts'
import { chatCompletions } from './endpoints/chat-completions.ts'
import { chatStatus } from './endpoints/chat-status.ts'
import { completions } from './endpoints/completions.ts'
import { conversation, createConversation, deleteConversation, updateConversation } from './endpoints/conversations.ts'
import {
  conversationItem,
  conversationItems,
  createConversationItems,
  deleteConversationItem,
} from './endpoints/conversations-items.ts'
import { countTokens } from './endpoints/count-tokens.ts'
import { embeddings } from './endpoints/embeddings.ts'
import { createFile, deleteFile, file, fileContent, files } from './endpoints/files.ts'
import { generateContent } from './endpoints/generate-content.ts'
import { health, livez, readyz } from './endpoints/health.ts'
import { imageEdits, imageGenerations, imageVariations } from './endpoints/images.ts'
import { messages } from './endpoints/messages.ts'
import { model, models } from './endpoints/models.ts'
import { modelsAuto } from './endpoints/models-auto.ts'
import { moderations } from './endpoints/moderations.ts'
import { providersHealth, resetProvidersHealth } from './endpoints/providers-health.ts'
import { replay } from './endpoints/replay.ts'
import { request } from './endpoints/requests.ts'
import { rerank } from './endpoints/rerank.ts'
import { responses } from './endpoints/responses.ts'
import { compactResponse } from './endpoints/responses-compact.ts'
import { responseInputTokens } from './endpoints/responses-input-tokens.ts'
import { cancelResponse, deleteResponse, inputItems, response } from './endpoints/responses-stored.ts'
import { simulate } from './endpoints/simulate.ts'
import { stripeWebhook } from './endpoints/stripe-webhook.ts'
import type { RouteTable } from './router.ts'

/**
 * Every path. A single `{id}` takes all that stands there, slashes included; of several each takes one segment. `/v1/{provider}/…` answers each of them as well,
 * pinned to that provider. What is not here is a file of the console.
 */
export const routes: RouteTable = [
  ['POST', '/v1/chat/completions', chatCompletions],
  ['GET', '/v1/chat/status', chatStatus],
  ['POST', '/v1/completions', completions],
  ['POST', '/v1/embeddings', embeddings],
  ['POST', '/v1/responses', responses],
  ['POST', '/v1/responses/compact', compactResponse],
  ['POST', '/v1/responses/input_tokens', responseInputTokens],
  ['GET', '/v1/responses/{id}', response],
  ['DELETE', '/v1/responses/{id}', deleteResponse],
  ['POST', '/v1/responses/{id}/cancel', cancelResponse],
  ['GET', '/v1/responses/{id}/input_items', inputItems],
  ['POST', '/v1/conversations', createConversation],
  ['GET', '/v1/conversations/{id}', conversation],
  ['POST', '/v1/conversations/{id}', updateConversation],
  ['DELETE', '/v1/conversations/{id}', deleteConversation],
  ['POST', '/v1/conversations/{id}/items', createConversationItems],
  ['GET', '/v1/conversations/{id}/items', conversationItems],
  ['GET', '/v1/conversations/{id}/items/{item}', conversationItem],
  ['DELETE', '/v1/conversations/{id}/items/{item}', deleteConversationItem],
  ['POST', '/v1/messages', messages],
  ['POST', '/v1/messages/count_tokens', countTokens],
  ['POST', '/v1/models/{id}', generateContent],
  ['GET', '/v1/balance', balance],
  ['GET', '/v1/models', models],
  ['GET', '/v1/models/auto', modelsAuto],
  ['GET', '/v1/models/{id}', model],
  ['GET', '/v1/providers/health', providersHealth],
  ['POST', '/v1/providers/health/reset', resetProvidersHealth],
  ['POST', '/v1/simulate', simulate],
  ['GET', '/v1/requests/{id}', request],
  ['POST', '/v1/requests/{id}/replay', replay],
  ['GET', '/health', health],
  ['GET', '/livez', livez],
  ['GET', '/readyz', readyz],
  ['POST', '/v1/images/generations', imageGenerations],
  ['POST', '/v1/images/edits', imageEdits],
  ['POST', '/v1/images/variations', imageVariations],
  ['POST', '/v1/audio/speech', speech],
  ['POST', '/v1/audio/transcriptions', transcriptions],
  ['POST', '/v1/audio/translations', translations],
  ['POST', '/v1/moderations', moderations],
  ['POST', '/v1/rerank', rerank],
  ['POST', '/v1/files', createFile],
  ['GET', '/v1/files', files],
  ['GET', '/v1/files/{id}', file],
  ['GET', '/v1/files/{id}/content', fileContent],
  ['DELETE', '/v1/files/{id}', deleteFile],
  ['POST', '/v1/batches', createBatch],
  ['GET', '/v1/batches', batches],
  ['GET', '/v1/batches/{id}', batch],
  ['POST', '/v1/batches/{id}/cancel', cancelBatch],
  ['POST', '/api/webhooks/stripe', stripeWebhook],
  ['*', '/api/{path}', api],
]
