import { configureSync, getConsoleSink, getLogger, type LogRecord } from '@logtape/logtape'
import type { Log } from '../deps.ts'

/** The process's log: one line an event on the console. */
export function systemLog(): Log {
  configureSync({
    sinks: { console: getConsoleSink({ formatter }) },
    loggers: [
      { category: 'watchllm', lowestLevel: 'info', sinks: ['console'] },
      { category: ['logtape', 'meta'], lowestLevel: 'error', sinks: ['console'] },
    ],
    reset: true,
  })
  const logger = getLogger('watchllm')
  return {
    info: (message, fields = {}) => logger.info(message, { ...fields }),
    warn: (message, fields = {}) => logger.warn(message, { ...fields }),
    error: (message, fields = {}) => logger.error(message, { ...fields }),
  }
}

/** Time, level, message, fields as JSON. */
function formatter(record: LogRecord): string {
  const fields = Object.keys(record.properties).length === 0 ? '' : ` ${JSON.stringify(record.properties, plainly)}`
  return `${new Date(record.timestamp).toISOString()} ${record.level} ${String(record.rawMessage)}${fields}`
}

/** Errors as what they say, never with a stack: JSON has nothing for them, and stacks are for debuggers. */
function plainly(_key: string, value: unknown): unknown {
  if (value instanceof Error) return value.cause === undefined ? value.message : `${value.message}: ${value.cause}`
  return typeof value === 'bigint' ? value.toString() : value
}
