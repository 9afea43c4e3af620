import { bearer } from './bearer.ts'
import type { Provider } from './provider.ts'
import { awsCredentials, signV4 } from './sigv4.ts'

/**
 * Amazon Bedrock's runtime in AWS_REGION. AWS_BEARER_TOKEN_BEDROCK holds a Bedrock API key, or AWS's own keys as
 * `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`, which sign each request. Claude is called by InvokeModel, so that
 * inference profiles and their ARNs work as model ids; OpenAI's models by the endpoints that follow OpenAI.
 * @see https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html
 */
export const bedrock: Provider = {
  id: 'bedrock',
  name: 'Amazon Bedrock',
  baseUrl: 'https://bedrock-runtime.{AWS_REGION}.amazonaws.com',
  keyVariable: 'AWS_BEARER_TOKEN_BEDROCK',
  baseUrlVariable: 'BEDROCK_BASE_URL',
  wires: {
    'anthropic-messages': { whole: '/model/{model}/invoke', stream: '/model/{model}/invoke-with-response-stream' },
    'openai-responses': '/openai/v1/responses',
    'openai-chat': '/openai/v1/chat/completions',
  },
  // Its runtime lists nothing.
  probe: null,
  auth: (key) => (awsCredentials(key) === null ? bearer(key) : []),
  sign(request, key, nowMs) {
    const credentials = awsCredentials(key)
    return credentials === null ? [] : signV4(request, credentials, 'bedrock', nowMs)
  },
  framing: 'aws-event-stream',
  quirks: {
    body: {
      'anthropic-messages': {
        without: ['model', 'stream'],
        plus: { anthropic_version: 'bedrock-2023-05-31' },
        lists: { 'anthropic-beta': 'anthropic_beta' },
        why: 'InvokeModel: anthropic_version is required; model and stream, said by the path, are extra inputs',
      },
    },
  },
}
