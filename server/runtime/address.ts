import type { ListenOptions } from '../http.ts'

/** The address can't be listened on. The message is one line that says what to do. */
export class AddressError extends Error {
  constructor({ host, port }: ListenOptions, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    super(`Can not listen on ${host}, port ${port} (${reason}); set HOST and PORT to an address that is free here`)
    this.name = 'AddressError'
  }
}
