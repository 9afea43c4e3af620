import aws4 from 'aws4'
import type { UpstreamRequest } from '../upstream.ts'
import { asBuffer } from '../wire/bytes.ts'

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** AWS's own keys as one text, `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`; null for any other kind of key. */
export function awsCredentials(key: string): Credentials | null {
  const parts = /^([A-Z0-9]{16,128}):([^:]+)(?::(.+))?$/.exec(key)
  if (parts === null) return null
  const [, accessKeyId, secretAccessKey, sessionToken] = parts
  return {
    accessKeyId: accessKeyId!,
    secretAccessKey: secretAccessKey!,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  }
}

/** The region that an endpoint of AWS has in its name, such as `bedrock-runtime.eu-west-1.amazonaws.com`. */
function regionOf(host: string): string {
  return /\.([a-z]{2,4}(?:-[a-z]+)+-\d)\./.exec(host)?.[1] ?? 'us-east-1'
}

/**
 * Headers that sign one request for a service of AWS (Signature Version 4): date, session token, authorization.
 * Signed are the method, path and query as they will be sent, the host, those headers and the whole body.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signV4(request: UpstreamRequest, credentials: Credentials, service: string, nowMs: number): string[] {
  const host = new URL(request.origin).host
  const date = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const wanted = {
    service,
    region: regionOf(host),
    method: request.method,
    path: request.path,
    host,
    headers: { host, 'X-Amz-Date': date },
    // aws4 makes these two up where they are missing: ours are on their way already, and need no signature.
    extraHeadersToIgnore: { 'content-length': true, 'content-type': true },
    ...(request.body === null ? {} : { body: asBuffer(request.body) }),
  }
  const { headers } = aws4.sign(wanted, credentials)
  return ['X-Amz-Date', 'X-Amz-Security-Token', 'Authorization'].flatMap((name) => {
    const value = headers?.[name]
    return value === undefined ? [] : [name.toLowerCase(), String(value)]
  })
}
