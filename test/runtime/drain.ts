import type { Reply } from '../../server/http.ts'
import { currentRuntime } from '../../server/runtime/runtime.ts'

/** A program: listens, lets the first request hang, closes with a limit of 200 ms, says what happened, and ends. */
const runtime = await currentRuntime()
const listener = await runtime.listen(
  (incoming) => {
    incoming.onGone(() => console.log('gone'))
    void listener.close(200).then(() => {
      console.log('closed')
      process.exit(0)
    })
    return new Promise<Reply>(() => {})
  },
  { host: '127.0.0.1', port: 0 },
)
console.log(`Listening at ${listener.url}`)
