import { existsSync, readFileSync } from 'node:fs'

/** Real exchanges with Messages APIs; none where the recordings are not at hand. */
const ROOT = new URL('../../../../shared/data/exchanges/', import.meta.url)
const SPECS = new URL('../../../../shared/specs/', import.meta.url)

export type Json = Record<string, unknown>

export interface Exchange {
  readonly id: string
  readonly path: string
  /** Null where it wasn't kept: no body, or one of over 60 kB. */
  readonly request: Json | null
  readonly status: number
  readonly body: string
}

function recorded(api: string): Exchange[] {
  if (!existsSync(ROOT)) return []
  const { fixtures }: { fixtures: { id: string; file: string; api: string; endpoint: string }[] } = JSON.parse(
    readFileSync(new URL('index.json', ROOT), 'utf8'),
  )
  return fixtures
    .filter((one) => one.api === api && /\/messages|\/invoke/.test(one.endpoint))
    .flatMap(({ id, file }) => {
      const { request, response } = JSON.parse(readFileSync(new URL(file, ROOT), 'utf8'))
      const isWhole = request.body !== null && request.body._omitted === undefined
      if (api === 'bedrock') {
        if (request.body?.anthropic_version === undefined) return []
        request.body = { model: MODEL.exec(request.path)![1], ...request.body }
      }
      const common = { path: request.path, request: isWhole ? request.body : null, status: response.status }
      const bodies = streamsOf(response.body)
      return bodies.map((body, at) => ({ ...common, id: at === 0 ? id : `${id}#${at}`, body }))
    })
}

/** Bedrock names the model in the path; the bodies of `invoke` are Messages. */
const MODEL = /\/model\/([^/]+)\//

/** Some recordings hold the streams of several turns in one. */
function streamsOf(body: string): string[] {
  const starts = Array.from(
    body.matchAll(/(?<="message_stop"\s*\}\s*\n\n)(?=event: message_start)/g),
    ({ index }) => index,
  )
  return [0, ...starts].map((start, at) => body.slice(start, starts[at]))
}

export const MESSAGES = [...recorded('messages'), ...recorded('bedrock')]
export const COUNTS = recorded('count_tokens')
export const hasRecordings = MESSAGES.length > 0

export const isStream = ({ body }: Exchange) => /^(?::|event:|data:)/.test(body)

/** Anthropic's own descriptions of its types; null where they are not at hand. */
export function spec(name: string): unknown {
  const url = new URL(`anthropic.${name}.schema.json`, SPECS)
  return existsSync(url) ? JSON.parse(readFileSync(url, 'utf8')) : null
}
