'use strict'

/** Passes one direction of a connection on; once it is a WebSocket, frame by frame, each through `rewrite`. */
class Frames {
  #rewrite
  #bytes = Buffer.alloc(0)
  /** Unknown until the head of the request or answer is read. */
  #isWebSocket = undefined

  /** `rewrite` takes a frame's payload as a latin1 string, and gives one of the same length. */
  constructor(rewrite) {
    this.#rewrite = rewrite
  }

  /** The bytes that can go on. */
  push(chunk) {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const ready = []
    if (this.#isWebSocket === undefined) ready.push(this.#head())
    if (this.#isWebSocket === false) ready.push(this.#take(this.#bytes.length))
    if (this.#isWebSocket) for (let frame; (frame = this.#frame()); ) ready.push(frame)
    return Buffer.concat(ready)
  }

  #head() {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end === -1) return this.#take(0)
    const head = this.#take(end + 4)
    this.#isWebSocket = /^upgrade: websocket/im.test(head.toString('latin1'))
    return head
  }

  /** The next frame, if all of it is there (RFC 6455 §5.2). */
  #frame() {
    const bytes = this.#bytes
    const short = bytes[1] & 0x7f
    const maskAt = short === 127 ? 10 : short === 126 ? 4 : 2
    if (bytes.length < maskAt) return undefined
    const payloadAt = maskAt + (bytes[1] & 0x80 ? 4 : 0)
    const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
    if (bytes.length < payloadAt + length) return undefined
    const frame = Buffer.from(this.#take(payloadAt + length))
    const [mask, payload] = [frame.subarray(maskAt, payloadAt), frame.subarray(payloadAt)]
    xor(payload, mask)
    const rewritten = this.#rewrite(payload.toString('latin1'))
    if (rewritten.length !== length) throw new Error(`rewritten to ${rewritten.length} bytes instead of ${length}`)
    payload.write(rewritten, 'latin1')
    xor(payload, mask)
    return frame
  }

  #take(count) {
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    return taken
  }
}

/** Masks or unmasks; what a server sends is not masked. */
function xor(payload, mask) {
  if (mask.length > 0) payload.forEach((byte, n) => (payload[n] = byte ^ mask[n % 4]))
}

module.exports = { Frames }
