import type { Provider, WirePaths } from './provider.ts'

const v1: WirePaths = {
  'openai-responses': '/openai/v1/responses',
  'openai-chat': '/openai/v1/chat/completions',
  'openai-completions': '/openai/v1/completions',
  'openai-embeddings': '/openai/v1/embeddings',
  'openai-images': '/openai/v1/images/generations',
  'openai-image-edits': '/openai/v1/images/edits',
  'openai-files': '/openai/v1/files',
  'openai-batches': '/openai/v1/batches',
}

/** The older API: the deployment stands in the path, and each dated version knows what its date knew. */
const dated: WirePaths = {
  'openai-chat': '/openai/deployments/{model}/chat/completions?api-version={version}',
  'openai-completions': '/openai/deployments/{model}/completions?api-version={version}',
  'openai-embeddings': '/openai/deployments/{model}/embeddings?api-version={version}',
}

/**
 * One's own resource: AZURE_OPENAI_BASE_URL is its endpoint, `https://NAME.openai.azure.com`, and a model's id is the
 * name of a deployment in it. The v1 API asks for no version; AZURE_OPENAI_API_VERSION=2024-10-21 and the like switch
 * to the dated one. @see https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
 */
export const azureOpenai: Provider = {
  id: 'azure-openai',
  name: 'Azure OpenAI',
  baseUrl: null,
  keyVariable: 'AZURE_OPENAI_API_KEY',
  baseUrlVariable: 'AZURE_OPENAI_BASE_URL',
  wires: v1,
  dated: { variable: 'AZURE_OPENAI_API_VERSION', wires: dated },
  followsOpenai: true,
  probe: '/openai/v1/models',
  auth: (key) => ['api-key', key],
  quirks: { maxEmbeddingInputs: { most: 2048, why: 'The input array must have 2048 entries or fewer' } },
}
