import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'

/** A program for Node: serves the fetch handler that the module of its argument exports. */
const { default: handler } = (await import(process.argv[2]!)) as typeof import('../../server/main.ts')
const server = createServer(async (request, response) => {
  const { method, url, headers } = request
  const body = method === 'POST' ? Buffer.concat(await request.toArray()) : null
  const sent = new Request(`http://gateway.test${url}`, { method: method!, headers: headers as HeadersInit, body })
  const answer = await handler.fetch(sent)
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  Readable.fromWeb(answer.body as ReadableStream).pipe(response)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`Listening at http://127.0.0.1:${(server.address() as AddressInfo).port}`)
