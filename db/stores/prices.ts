import { type Kysely, sql } from 'kysely'
import type { Price } from '../model/money.ts'
import type { Schema } from '../schema/index.ts'

export interface PriceStore {
  /** Adds the prices that aren't there yet. One that is there stays as it is: an id names a content. */
  ensure(prices: readonly Price[]): Promise<void>
}

export function priceStore(db: Kysely<Schema>): PriceStore {
  return {
    async ensure(prices) {
      if (prices.length === 0) return
      const rows = prices.map((price) => ({
        id: price.id,
        provider: price.provider,
        model: price.model,
        source: price.source,
        content: price,
      }))
      await sql`
        insert into prices (id, provider, model, source, content)
        select id, provider, model, source, content
        from json_to_recordset(${JSON.stringify(rows)}::json)
          as r(id text, provider text, model text, source text, content jsonb)
        order by id
        on conflict (id) do nothing`.execute(db)
    },
  }
}
