import { connect, type Socket } from 'node:net'

export interface Tally {
  /** Milliseconds from the plan's time of a call to its last byte, of those answered 200. */
  readonly tookMs: number[]
  sent: number
  refused: number
  /** Other statuses, broken connections, and 503 without a retry-after of 1 to 10 s. */
  errors: number
  /** Found no free connection: the load was less than planned. */
  unsent: number
}

const END_OF_CHUNKS = Buffer.from('0\r\n\r\n')
const MAX_CONNECTIONS = 12_000

/**
 * Calls at a given rate whatever becomes of the ones before, as the world does: each on a connection that is free, or on
 * a new one. It reads no more of answers than their status and their end.
 */
export class Callers {
  readonly #port: number
  readonly #request: Buffer
  readonly #free: Line[] = []
  readonly #all = new Set<Line>()
  tally: Tally = newTally()

  constructor(port: number, request: Buffer) {
    this.#port = port
    this.#request = request
  }

  get open(): number {
    return this.#all.size
  }

  get busy(): number {
    return this.#all.size - this.#free.length
  }

  /** @param perSecond calls; @returns what became of those that ended meanwhile */
  async run(perSecond: number, forMs: number): Promise<Tally> {
    this.tally = newTally()
    const began = performance.now()
    let planned = 0
    for (let now = began; now < began + forMs; now = performance.now()) {
      for (const due = ((now - began) * perSecond) / 1000; planned < due; planned++) {
        this.#call(began + (planned * 1000) / perSecond)
      }
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return this.tally
  }

  /** Programs that call again when they are answered, or a second after they were refused. */
  async saturate(programs: number, forMs: number): Promise<Tally> {
    this.tally = newTally()
    let over = false
    const again = (isRefused: boolean) => {
      if (over) return
      if (isRefused) setTimeout(() => again(false), 1000)
      else this.#call(performance.now(), again)
    }
    for (let at = 0; at < programs; at++) again(false)
    await new Promise((resolve) => setTimeout(resolve, forMs))
    over = true
    return this.tally
  }

  close(): void {
    for (const line of this.#all) line.socket.destroy()
  }

  #call(plannedAt: number, then?: (isRefused: boolean) => void): void {
    const line = this.#free.pop() ?? this.#open()
    if (line === null) {
      this.tally.unsent++
      return
    }
    this.tally.sent++
    line.ended = (head) => {
      this.#free.push(line)
      const status = head.slice(9, 12)
      if (status === '200') this.tally.tookMs.push(performance.now() - plannedAt)
      else if (status === '503' && /\r\nretry-after: ([1-9]|10)\r\n/.test(head)) this.tally.refused++
      else this.tally.errors++
      then?.(status === '503')
    }
    line.socket.write(this.#request)
  }

  #open(): Line | null {
    if (this.#all.size >= MAX_CONNECTIONS) return null
    const line = new Line(connect({ port: this.#port, host: '127.0.0.1', noDelay: true }), (wasBusy) => {
      this.#all.delete(line)
      const at = this.#free.indexOf(line)
      if (at >= 0) this.#free.splice(at, 1)
      if (wasBusy) this.tally.errors++
    })
    this.#all.add(line)
    return line
  }
}

function newTally(): Tally {
  return { tookMs: [], sent: 0, refused: 0, errors: 0, unsent: 0 }
}

/** One connection, one call at a time. */
class Line {
  readonly socket: Socket
  ended: ((head: string) => void) | null = null
  #head = ''
  /** Bytes of the body that are to come; null: until the end of chunks. */
  #left: number | null = 0
  #tail = Buffer.alloc(0)

  constructor(socket: Socket, closed: (wasBusy: boolean) => void) {
    this.socket = socket
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('error', () => {})
    socket.on('close', () => closed(this.ended !== null))
  }

  #read(bytes: Buffer): void {
    let body = bytes
    if (this.#left === 0) {
      this.#head += bytes.toString('latin1')
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return
      body = Buffer.from(this.#head.slice(end + 4), 'latin1')
      this.#head = this.#head.slice(0, end + 2)
      const length = /\r\ncontent-length: (\d+)/.exec(this.#head)
      this.#left = length === null ? null : Number(length[1])
    }
    if (this.#left === null) {
      this.#tail = Buffer.concat([this.#tail, body]).subarray(-END_OF_CHUNKS.length)
      if (this.#tail.equals(END_OF_CHUNKS)) this.#end()
    } else {
      this.#left -= body.length
      if (this.#left <= 0) this.#end()
    }
  }

  #end(): void {
    const { ended } = this
    const head = this.#head
    this.ended = null
    this.#head = ''
    this.#left = 0
    this.#tail = Buffer.alloc(0)
    ended?.(head)
    if (head.includes('\r\nconnection: close')) this.socket.destroy()
  }
}
