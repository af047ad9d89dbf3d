'use strict'

// The lines of a log: of a file, or given as objects.

const { closeSync, fstatSync, openSync, readFileSync, readSync } = require('node:fs')
const { setImmediate: breathe } = require('node:timers/promises')

const { invalidArgument, SpeakerError } = require('../error')

const SKIPPED = /^\s*($|#|\/\/)/
const CHUNK = 2 ** 20
/** Standard input, which can't be read twice. */
const STANDARD = '-'
/** The line feed; the last line may lack it. */
const END = Buffer.from('\n')

/**
 * The lines of a file that are neither empty nor comments: an async iterable of `{ number, at, length }`. `fields(at, length)` returns the
 * object of one line while the file is open.
 */
class LinesOfFile {
  #fd
  #holders = 0
  /** The whole content if it can't be read twice (a pipe). */
  #whole

  constructor(name) {
    this.name = name
  }

  /** Opens the file, unless it is open already. */
  hold() {
    if (this.#holders === 0 && !this.#whole) this.#open()
    this.#holders++
  }

  release() {
    this.#holders--
    if (this.#holders === 0 && !this.#whole) closeSync(this.#fd)
  }

  #open() {
    try {
      this.#fd = this.name === STANDARD ? 0 : openSync(this.name, 'r')
      if (this.name !== STANDARD && fstatSync(this.#fd).isFile()) return
    } catch ({ message }) {
      throw this.#unreadable(message)
    }
    try {
      this.#whole = readFileSync(this.#fd)
    } catch ({ message }) {
      throw this.#unreadable(message)
    } finally {
      if (this.name !== STANDARD) closeSync(this.#fd)
    }
  }

  #unreadable(why) {
    return new SpeakerError('ERR_INVALID_ARGUMENT', `Expected a readable file for the requests but received ${this.name}: ${why}`)
  }

  async *[Symbol.asyncIterator]() {
    for (let [number, at, rest] = [0, 0, Buffer.alloc(0)]; ; await breathe()) {
      const chunk = this.#read(at + rest.length, CHUNK)
      const bytes = Buffer.concat([rest, chunk.length > 0 ? chunk : END])
      let begin = 0
      for (let end = bytes.indexOf(END, rest.length); end !== -1; end = bytes.indexOf(END, begin)) {
        number++
        if (!SKIPPED.test(bytes.toString('utf8', begin, end))) yield { number, at: at + begin, length: end - begin }
        begin = end + 1
      }
      if (chunk.length === 0) return
      ;[at, rest] = [at + begin, bytes.subarray(begin)]
    }
  }

  fields(at, length) {
    return object(this.#read(at, length).toString('utf8'))
  }

  #read(at, length) {
    if (this.#whole) return this.#whole.subarray(at, at + length)
    const bytes = Buffer.allocUnsafe(length)
    return bytes.subarray(0, readSync(this.#fd, bytes, 0, length, at))
  }
}

/** The same interface for lines that are objects. */
class LinesOfObjects {
  name = 'requests'
  #objects

  constructor(objects) {
    this.#objects = Array.from(objects)
  }

  async *[Symbol.asyncIterator]() {
    for (const at of this.#objects.keys()) yield { number: at + 1, at, length: 1 }
  }

  fields(at) {
    return plain(this.#objects[at])
  }

  hold() {}

  release() {}
}

function object(line) {
  try {
    // Editors on Windows begin a file with a byte-order mark.
    return plain(JSON.parse(line.replace(/^\uFEFF/, '')))
  } catch (error) {
    if (error instanceof SpeakerError) throw error
    throw invalidArgument('JSON', 'the line', line.trim())
  }
}

function plain(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidArgument('an object', 'the line', value)
  return value
}

module.exports = { LinesOfFile, LinesOfObjects }
