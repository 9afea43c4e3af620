#!/usr/bin/env node
import { type Running, start } from './main.ts'
import { rotateSecret } from './rotate-secret.ts'

/** `watchllm` starts the gateway; `watchllm rotate-secret` seals with the newest master secret what older ones have sealed. */
async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2)
  if (command === undefined) return serve()
  if (command !== 'rotate-secret' || rest.length > 0) throw new CommandError(process.argv.slice(2).join(' '))
  const { report, complete } = await rotateSecret()
  console.log(report)
  if (!complete) process.exitCode = 1
}

class CommandError extends Error {
  constructor(given: string) {
    super(`there is no command "${given}"; run it without any, or with rotate-secret`)
    this.name = 'CommandError'
  }
}

/** Starts the gateway, says where it is, and stops it in order on SIGTERM and SIGINT. */
async function serve(): Promise<void> {
  const running = await start()
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // A second signal doesn't wait for calls under way.
      if (stopping) process.exit(1)
      stopping = true
      running.close().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error)
          process.exit(1)
        },
      )
    })
  }
  // Last: whoever waits for this line may send the signal at once.
  announce(running)
}

/** In one write: whoever reads it has all of it. */
function announce({ url, firstTestKey, setupToken }: Running): void {
  const firstSteps = `
This test key is shown this once: ${firstTestKey}
It is answered by the sandbox, free and without any provider account. Try it:

curl ${url}/v1/chat/completions \\
  -H "Authorization: Bearer ${firstTestKey}" -H "Content-Type: application/json" \\
  -d '{"model":"gpt-4o","messages":[{"role":"user","content":"Hello!"}]}'
`
  const admin = setupToken === null ? '' : `\nMake the first admin, once: ${url}/setup?token=${setupToken}`
  console.log(`WatchLLM is ready at ${url}${admin}${firstTestKey === null ? '' : `\n${firstSteps}`}`)
}

/** One clear line for what the operator can mend; the whole error for what only we can. */
function failToStart(error: unknown): never {
  const reason = reasonFor(error as SystemError)
  console.error(reason === null ? error : `WatchLLM can not start: ${reason.replaceAll('\n', ' ')}`)
  process.exit(1)
}

interface SystemError extends Error {
  readonly syscall?: unknown
  readonly path?: unknown
}

/** Errors of ours whose message says what to do. */
const CLEAR = new Set([
  'AddressError',
  'CommandError',
  'ConfigError',
  'FolderLockedError',
  'NewerSchemaError',
  'VaultError',
])

function reasonFor({ name, message, syscall, path }: SystemError): string | null {
  if (CLEAR.has(name)) return message
  if (name === 'PostgresError' || syscall === 'connect' || syscall === 'getaddrinfo')
    return `DATABASE_URL can not be used: ${message}`
  if (typeof path === 'string') return `${message}; set WATCHLLM_DATA_DIR to a folder that this user can write to`
  return null
}

main().catch(failToStart)
