'use strict'

/**
 * Passes on one direction of a connection: requests or answers head by head, and after an upgrade to a WebSocket frame by frame, each
 * through `rewrite`.
 */
class Frames {
  #rewrite
  #onHead
  #bytes = Buffer.alloc(0)
  #isWebSocket = false
  /** The length of the last body that has not arrived yet. */
  #bodyBytes = 0

  /**
   * `rewrite` takes a frame's payload as a latin1 string, and returns one of the same length. `onHead` gets each head of a request or
   * answer; if it returns false, the head is not passed on.
   */
  constructor(rewrite, onHead) {
    this.#rewrite = rewrite
    this.#onHead = onHead
  }

  /** Switches to WebSocket frames. */
  upgrade() {
    this.#isWebSocket = true
  }

  /** Returns the bytes that can be passed on. */
  push(chunk) {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const ready = []
    for (let piece; (piece = this.#next()); ) ready.push(piece)
    return Buffer.concat(ready)
  }

  #next() {
    if (this.#isWebSocket) return this.#frame()
    if (this.#bodyBytes === 0) return this.#head()
    if (this.#bytes.length === 0) return undefined
    const piece = this.#take(Math.min(this.#bodyBytes, this.#bytes.length))
    this.#bodyBytes -= piece.length
    return piece
  }

  #head() {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end === -1) return undefined
    const head = this.#take(end + 4)
    const text = head.toString('latin1')
    this.#bodyBytes = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0)
    if (/^transfer-encoding:/im.test(text)) this.#bodyBytes = Infinity
    return this.#onHead(text) === false ? Buffer.alloc(0) : head
  }

  /** Returns the next frame, if it is complete (RFC 6455 §5.2). */
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

/** Masks or unmasks; a server's frames are not masked. */
function xor(payload, mask) {
  if (mask.length > 0) payload.forEach((byte, n) => (payload[n] = byte ^ mask[n % 4]))
}

/** Returns a server's close frame (RFC 6455 §5.5.1). */
function closeFrame(code) {
  return Buffer.from([0x88, 2, code >> 8, code & 0xff])
}

module.exports = { Frames, closeFrame }
