import { GatewayError } from '../errors.ts'
import { asBuffer } from '../wire/bytes.ts'
import { createObject, type Kind, listObjects, useObject } from './provider-objects.ts'

/** Its results are files that the provider makes when it ends. */
const BATCH: Kind = {
  noun: 'batch',
  page: { most: 100, usual: 20 },
  others: ({ output_file_id, error_file_id }) => [output_file_id, error_file_id],
}

const BATCHES = { wire: 'openai-batches', model: '' } as const

const INPUT = 'input_file_id'

/** `POST /v1/batches`: its input must be a file of the project's own */
export const createBatch = createObject({ ...BATCHES, name: 'batches.create' }, BATCH, async (body, owns) => {
  const id = inputOf(body)
  if (id === undefined || (await owns([id])).has(id)) return
  throw new GatewayError('not_found', `No file ${id.slice(0, 64)} of this project`, { param: INPUT })
})

/** Undefined where there is none for the provider to find fault with. @throws GatewayError when it can't be looked at */
function inputOf(body: Uint8Array): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(asBuffer(body).toString())
  } catch {
    throw new GatewayError('invalid_request', 'Send the batch as a JSON object, not compressed')
  }
  const id = (value as Record<string, unknown> | null)?.[INPUT]
  if (id === undefined || typeof id === 'string') return id
  throw new GatewayError('invalid_request', `"${INPUT}" must be a string`, { param: INPUT })
}

/** `GET /v1/batches[?limit&after]` */
export const batches = listObjects({ ...BATCHES, name: 'batches.list', method: 'GET' }, BATCH)

/** `GET /v1/batches/{id}` */
export const batch = useObject({ ...BATCHES, name: 'batches.retrieve', method: 'GET', tail: (id) => `/${id}` }, BATCH)

/** `POST /v1/batches/{id}/cancel` */
export const cancelBatch = useObject({ ...BATCHES, name: 'batches.cancel', tail: (id) => `/${id}/cancel` }, BATCH)
