import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import type { EmbeddedClient } from './client.ts'
import type { QueryAnswer } from './protocol.ts'
import { Turns } from './turns.ts'

/** Kysely over the database's thread: one connection, handed from one user to the next in order of asking. */
export class EmbeddedDialect implements Dialect {
  readonly #driver: EmbeddedDriver
  constructor(driver: EmbeddedDriver) {
    this.#driver = driver
  }
  createDriver(): Driver {
    return this.#driver
  }
  createQueryCompiler(): PostgresQueryCompiler {
    return new PostgresQueryCompiler()
  }
  createAdapter(): PostgresAdapter {
    return new PostgresAdapter()
  }
  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new PostgresIntrospector(db)
  }
}

/** Takes begin, commit and savepoints from Kysely's own driver, and its connection from our one. */
export class EmbeddedDriver extends PostgresDriver {
  readonly #client: EmbeddedClient
  readonly #turns = new Turns()
  readonly #onReopen: () => Promise<void>

  /** @param onReopen runs with the connection held after the thread had to be started again */
  constructor(client: EmbeddedClient, onReopen: () => Promise<void>) {
    super({} as ConstructorParameters<typeof PostgresDriver>[0])
    this.#client = client
    this.#onReopen = onReopen
  }

  override async init(): Promise<void> {}

  /** Runs `use` with the connection to itself. */
  async alone<T>(use: () => Promise<T>): Promise<T> {
    await this.acquireConnection()
    try {
      return await use()
    } finally {
      this.#turns.end()
    }
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turns.begin()
    try {
      if (!this.#client.isOpen) {
        await this.#client.open()
        await this.#onReopen()
      }
      return new EmbeddedConnection(this.#client)
    } catch (error) {
      this.#turns.end()
      throw error
    }
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // With the thread, the transaction is gone too.
    if (connection instanceof EmbeddedConnection && connection.isLost) return
    await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  override async releaseConnection(): Promise<void> {
    this.#turns.end()
  }

  /** Waits for its turn, then closes; later users are refused. */
  override async destroy(): Promise<void> {
    if (!(await this.#turns.close())) return
    await this.#client.close()
  }
}

class EmbeddedConnection implements DatabaseConnection {
  readonly #client: EmbeddedClient
  readonly #generation: number

  constructor(client: EmbeddedClient) {
    this.#client = client
    this.#generation = client.generation
  }

  get isLost(): boolean {
    return !this.#client.isOpen || this.#client.generation !== this.#generation
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.isLost) throw new Error("The database's thread ended in the middle of a transaction; try it again")
    const answer = await this.#client.ask<QueryAnswer>({
      do: 'query',
      sql: query.sql,
      parameters: query.parameters,
    })
    const { rows, command, affected } = answer
    // Kysely's commit wants to see whether the server made it a rollback.
    if (command === 'COMMIT' || command === 'ROLLBACK') return { rows: [{ command }] as R[] }
    const changes = command === 'INSERT' || command === 'UPDATE' || command === 'DELETE' || command === 'MERGE'
    return changes && affected !== null
      ? { numAffectedRows: BigInt(affected), rows: rows as R[] }
      : { rows: rows as R[] }
  }

  // biome-ignore lint/correctness/useYield: the interface wants one, the engine has no cursor over its protocol
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('The embedded database has no stream(); read page by page, by key')
  }
}
