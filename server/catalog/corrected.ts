import { createHash } from 'node:crypto'
import type { Price } from '../../db/model/money.ts'
import { type Override, tariffOf } from './overrides.ts'

/** A version of a price that should have held: the same content has the same id, and another than any other source's. */
export function correctedPrice(provider: string, model: string, price: Override): Price {
  const content = { id: '', provider, model, source: 'correction', ...tariffOf(price) }
  return { ...content, id: createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16) }
}
