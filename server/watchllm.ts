#!/usr/bin/env node
import { ConfigError, FolderLockedError, type Running, start } from './main.ts'

/** The command: starts the gateway, says where it is, and stops it in order on SIGTERM and SIGINT. */
async function main(): Promise<void> {
  const running = await start()
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // A second signal doesn't wait for calls under way.
      if (stopping) process.exit(1)
      stopping = true
      running.close().then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      )
    })
  }
  // Last: whoever waits for this line may send the signal at once.
  announce(running)
}

function announce({ url, firstTestKey }: Running): void {
  console.log(`WatchLLM is ready at ${url}`)
  if (firstTestKey === null) return
  console.log(`
This test key is shown this once: ${firstTestKey}
It is answered by the sandbox, free and without any provider account. Try it:

curl ${url}/v1/chat/completions \\
  -H "Authorization: Bearer ${firstTestKey}" -H "Content-Type: application/json" \\
  -d '{"model":"gpt-4o","messages":[{"role":"user","content":"Hello!"}]}'
`)
}

/** One clear line for what the operator can mend; the whole error for what only we can. */
function fail(error: unknown): never {
  const clear = error instanceof ConfigError || error instanceof FolderLockedError || isAddressError(error)
  console.error(clear ? `WatchLLM can not start: ${(error as Error).message}` : error)
  process.exit(1)
}

function isAddressError(error: unknown): boolean {
  const { syscall } = error as { syscall?: unknown }
  return syscall === 'listen' || syscall === 'getaddrinfo'
}

main().catch(fail)
