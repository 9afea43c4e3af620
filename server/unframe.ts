import type { UpstreamHandler } from './upstream.ts'
import { AwsEventStream } from './wire/aws-event-stream.ts'

const AWS_STREAM = 'application/vnd.amazon.eventstream'

/** Hears a provider whose streams come in frames of AWS, and tells of server-sent events. All else goes as it is. */
export function unframed(handler: UpstreamHandler, abort: () => void): UpstreamHandler {
  let frames: AwsEventStream | null = null
  let over = false
  const attempt = (read: () => void): void => {
    if (over) return
    try {
      read()
    } catch (error) {
      over = true
      abort()
      handler.onError({ kind: 'protocol', message: (error as Error).message })
    }
  }
  return {
    onHeaders(status, header) {
      const type = header('content-type')
      if (status >= 300 || type?.startsWith(AWS_STREAM) !== true) return handler.onHeaders(status, header)
      frames = new AwsEventStream()
      handler.onHeaders(status, (name) => (name === 'content-type' ? 'text/event-stream' : header(name)))
    },
    onData(chunk) {
      if (frames === null) return handler.onData(chunk)
      attempt(() => {
        const events = frames!.push(chunk)
        if (events !== null) handler.onData(events)
      })
    },
    onEnd() {
      attempt(() => frames?.end())
      if (!over) handler.onEnd()
    },
    onError: (error) => handler.onError(error),
  }
}
