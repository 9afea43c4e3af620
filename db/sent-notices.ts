import type { CompiledQuery, DatabaseConnection, Dialect, Driver } from 'kysely'

type OnSent = (channel: string, payload: string) => void

/** As `notifyKeys` of db/stores/key-lookup.ts sends it. */
const NOTIFY = 'select pg_notify($1, $2)'

/**
 * A dialect that tells of each NOTIFY which this process has sent, once it is committed: nobody is told of what was
 * rolled back. For who has another way to the other instances than the database's own.
 */
export function withSentNotices(dialect: Dialect, onSent: OnSent): Dialect {
  return {
    createDriver: () => listened(dialect.createDriver(), onSent),
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
  }
}

function listened(driver: Driver, onSent: OnSent): Driver {
  /** What was sent within transactions that are open. */
  const waiting = new WeakMap<DatabaseConnection, Parameters<OnSent>[]>()

  function sent(connection: DatabaseConnection, { sql, parameters }: CompiledQuery): void {
    if (sql !== NOTIFY) return
    const [channel, payload] = parameters.map(String)
    const notice: Parameters<OnSent> = [channel ?? '', payload ?? '']
    const open = waiting.get(connection)
    if (open === undefined) onSent(...notice)
    else open.push(notice)
  }

  const acquire = driver.acquireConnection.bind(driver)
  driver.acquireConnection = async (options) => {
    const connection = await acquire(options)
    const execute = connection.executeQuery.bind(connection)
    connection.executeQuery = async (query, more) => {
      const answer = await execute<never>(query, more)
      sent(connection, query)
      return answer
    }
    return connection
  }
  const begin = driver.beginTransaction.bind(driver)
  driver.beginTransaction = async (connection, settings) => {
    await begin(connection, settings)
    waiting.set(connection, [])
  }
  const commit = driver.commitTransaction.bind(driver)
  driver.commitTransaction = async (connection) => {
    await commit(connection)
    const notices = waiting.get(connection) ?? []
    waiting.delete(connection)
    for (const notice of notices) onSent(...notice)
  }
  const rollback = driver.rollbackTransaction.bind(driver)
  driver.rollbackTransaction = async (connection) => {
    waiting.delete(connection)
    await rollback(connection)
  }
  return driver
}
