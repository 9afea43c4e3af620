import { Redis } from 'ioredis'
import type { SharedKv } from './kv.ts'
import { type Client, sharedKv } from './shared.ts'

export interface RedisOptions {
  /** A command that isn't answered by then has failed; default 250. */
  readonly timeoutMs?: number
  /** Goes before every key and channel; default `watchllm:`. */
  readonly prefix?: string
}

/** The longest pause between tries to connect again. */
const RETRY_MS = 1_000

/**
 * A store on one Redis (6.2 or later) or on what speaks as it does; not on Redis Cluster, whose scripts can't reach keys on
 * several nodes. Connects by itself and again after a loss; until then everything rejects.
 * @param url such as `redis://user:password@host:6379/0`, `rediss://…` with TLS, or the path of a socket
 */
export function redisKv(url: string, options: RedisOptions = {}): SharedKv {
  return sharedKv(redisClient(url, options.timeoutMs ?? 250), options.prefix)
}

function redisClient(url: string, timeoutMs: number): Client {
  let trouble: Error | null = null
  const redis = new Redis(url, {
    commandTimeout: timeoutMs,
    connectTimeout: Math.max(1_000, timeoutMs),
    retryStrategy: (times) => Math.min(RETRY_MS, 50 * times),
    // What fails has failed: a command sent a second time, or much later, would count twice.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    // A replica after a failover: the name leads to the new master.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    protocol: 2,
  })
  redis.on('error', (error: Error) => {
    trouble = error
  })
  redis.on('ready', () => {
    trouble = null
  })
  const ready = readiness(redis, timeoutMs, () => trouble)
  const commands = new Map<string, string>()
  const listener = subscriber(redis)

  return {
    async run(script, keys, args) {
      if (redis.status !== 'ready') await ready()
      let name = commands.get(script)
      if (name === undefined) {
        name = `watchllm${commands.size}`
        commands.set(script, name)
        // Sends the script's hash, and the script itself to a Redis that doesn't know it.
        redis.defineCommand(name, { lua: script })
      }
      const command = (redis as unknown as Record<string, Command>)[name]!
      return clearly(command.call(redis, keys.length, ...keys, ...args))
    },
    async publish(channel, text) {
      if (redis.status !== 'ready') await ready()
      await clearly(redis.publish(channel, text))
    },
    subscribe: listener.subscribe,
    async ping() {
      if (redis.status !== 'ready') await ready()
      // A replica, or a Redis without memory or disk, answers PING all the same.
      await clearly(redis.set('watchllm:ping', '1', 'PX', 60_000))
    },
    async close() {
      listener.close()
      redis.disconnect()
    },
  }
}

/** Says what a lost connection means, in other words than the package's own. */
async function clearly<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const { message } = error as Error
    if (!/^(Stream isn't writeable|Connection is closed)/.test(message)) throw error
    throw new Error("Redis can't be reached: the connection was lost", { cause: error })
  }
}

type Command = (numberOfKeys: number, ...rest: string[]) => Promise<unknown>

/** Waits for a connection that is being made; rejects with what keeps it from being made. */
function readiness(redis: Redis, timeoutMs: number, trouble: () => Error | null): () => Promise<void> {
  let waiting: Promise<void> | null = null
  return () => {
    waiting ??= new Promise<void>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer)
        redis.off('ready', done)
        waiting = null
        if (redis.status === 'ready') return resolve()
        reject(new Error(`Redis can't be reached: ${trouble()?.message || 'it doesn’t answer'}`))
      }
      // When connecting has failed already, there is nothing to wait for.
      const timer = setTimeout(done, trouble() === null ? timeoutMs : 0)
      redis.on('ready', done)
    })
    return waiting
  }
}

interface Ear {
  readonly hear: (text: string) => void
  readonly missed: () => void
}

/** Listens on a connection of its own, made when it is needed. */
function subscriber(redis: Redis): Pick<Client, 'subscribe'> & { close(): void } {
  const channels = new Map<string, Set<Ear>>()
  let connection: Redis | null = null
  let wasReady = false

  function open(): Redis {
    const made = redis.duplicate({
      autoResubscribe: false,
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      commandTimeout: undefined,
    })
    made.on('error', () => {})
    made.on('message', (channel, text) => {
      for (const ear of channels.get(channel) ?? []) ear.hear(text)
    })
    made.on('ready', () => {
      if (wasReady && channels.size > 0) void again(made)
      wasReady = true
    })
    return made
  }

  /** After a loss: listen first, then say that something may have been missed. */
  async function again(made: Redis): Promise<void> {
    try {
      await made.subscribe(...channels.keys())
    } catch {
      // Lost once more: the next connection tells them.
      return
    }
    for (const ears of channels.values()) for (const ear of ears) ear.missed()
  }

  return {
    async subscribe(channel, hear, missed) {
      connection ??= open()
      const ear = { hear, missed }
      const ears = channels.get(channel) ?? new Set()
      channels.set(channel, ears.add(ear))
      await connection.subscribe(channel)
      return () => {
        ears.delete(ear)
        if (ears.size > 0 || channels.get(channel) !== ears) return
        channels.delete(channel)
        connection?.unsubscribe(channel).catch(() => {})
      }
    },
    close: () => connection?.disconnect(),
  }
}
