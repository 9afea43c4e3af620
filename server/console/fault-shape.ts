import type { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc'

/** What tRPC's clients see of an error; `data.error` is the same as in the body of REST. */
export interface FaultShape {
  readonly message: string
  readonly code: (typeof TRPC_ERROR_CODES_BY_KEY)[keyof typeof TRPC_ERROR_CODES_BY_KEY]
  readonly data: {
    /** tRPC's word for the status. */
    readonly code: keyof typeof TRPC_ERROR_CODES_BY_KEY
    readonly httpStatus: number
    readonly path: string | null
    readonly requestId: string | null
    readonly error: {
      readonly message: string
      readonly type: string
      /** The member at fault. */
      readonly param: string | null
      readonly code: string
      readonly details?: Readonly<Record<string, unknown>>
    }
  }
}
