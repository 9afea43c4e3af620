import { Buffer } from 'node:buffer'

/** Written apart from the decoder: bit by bit, without a table. */
export function crc(bytes: Uint8Array): number {
  let value = ~0
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  }
  return ~value >>> 0
}

type Value = string | { readonly type: number; readonly bytes: readonly number[] }

/** One message of AWS's event stream. */
export function message(headers: Readonly<Record<string, Value>>, payload: string | Uint8Array): Buffer {
  const encoded = Buffer.concat(
    Object.entries(headers).map(([name, value]) => {
      const text = typeof value === 'string' ? Buffer.from(value) : null
      const length = Buffer.alloc(2)
      length.writeUInt16BE(text?.length ?? 0)
      const rest = text === null ? Buffer.from((value as Exclude<Value, string>).bytes) : Buffer.concat([length, text])
      const type = typeof value === 'string' ? 7 : value.type
      return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([type]), rest])
    }),
  )
  const body = Buffer.from(payload)
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(16 + encoded.length + body.length, 0)
  prelude.writeUInt32BE(encoded.length, 4)
  prelude.writeUInt32BE(crc(prelude.subarray(0, 8)), 8)
  const all = Buffer.concat([prelude, encoded, body])
  const end = Buffer.alloc(4)
  end.writeUInt32BE(crc(all))
  return Buffer.concat([all, end])
}

/** A piece of a streamed answer, as Bedrock frames it. */
export function chunk(json: string): Buffer {
  const headers = { ':event-type': 'chunk', ':content-type': 'application/json', ':message-type': 'event' }
  return message(headers, JSON.stringify({ bytes: Buffer.from(json).toString('base64'), p: 'abcdefgh' }))
}

/** What ends a stream that failed. */
export function exception(name: string, text: string): Buffer {
  return message({ ':exception-type': name, ':message-type': 'exception' }, JSON.stringify({ message: text }))
}
