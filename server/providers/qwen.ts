import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'

/**
 * Alibaba Cloud Model Studio (DashScope) in its OpenAI-compatible mode, international region; keys of the Beijing
 * region need QWEN_BASE_URL=https://dashscope.aliyuncs.com/compatible-mode/v1. The key's variable has the name that
 * Alibaba's own documentation uses. @see https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope
 */
export const qwen: Provider = {
  id: 'qwen',
  name: 'Qwen (DashScope)',
  baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
  keyVariable: 'DASHSCOPE_API_KEY',
  baseUrlVariable: 'QWEN_BASE_URL',
  wires: {
    'openai-chat': '/chat/completions',
    'openai-responses': '/responses',
    'openai-embeddings': '/embeddings',
    'openai-files': '/files',
    'openai-batches': '/batches',
  },
  auth: bearer,
  quirks: {
    plainVectors: 'encoding_format takes float only',
    maxEmbeddingInputs: { most: 10, why: 'text-embedding-v3 and v4: the maximum batch size is 10' },
    textsOnly: 'input is a string, an array of strings or a file',
  },
}
