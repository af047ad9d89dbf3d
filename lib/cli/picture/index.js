'use strict'

// `--timeline`: collects what sessions do while they play, and writes the picture of it, as an SVG or as a page with the sound in it.

const { writeFile } = require('node:fs/promises')
const path = require('node:path')

const { SpeakerError } = require('../../error')
const { page } = require('./page')
const { svg } = require('./svg')
const { Trace } = require('./trace')

/** The most users and lanes that are drawn; the rest is counted. */
const MOST_USERS = 50
const MOST_LANES = 500
/** The most bytes of sound in a page, over all users: 4 minutes at 24 kHz, 26 in telephone quality. */
const AUDIO_BYTES = 12_000_000

const DRAWINGS = { '.svg': svg, '.html': page }

class Picture {
  #path
  #title
  #users
  #count
  #traces = new Map()

  /** `users` is the number of users in the log, `path` the file to be written. */
  constructor(path, title, users) {
    this.#path = path
    this.#title = title
    this.#count = users
    this.#users = Math.min(users, MOST_USERS)
  }

  /** Begins a session: returns the observers of its requests (see Trace), or nothing if it is not drawn. `order` is its place. */
  begin(session, { name, options, channels, offsetMs = 0, order = 0 }) {
    if (order >= MOST_USERS) return undefined
    const hasAudio = path.extname(this.#path) === '.html'
    const trace = new Trace(session, {
      name, options, channels,
      audioBytes: hasAudio ? Math.floor(AUDIO_BYTES / this.#users) : 0,
      mostLanes: Math.floor(MOST_LANES / this.#users)
    })
    this.#traces.set(order, { trace, offsetMs })
    return trace
  }

  /** Writes the picture of all sessions, which are closed. */
  async write() {
    const inOrder = [...this.#traces].sort(([one], [other]) => one - other).map(([, each]) => each)
    const traces = await Promise.all(inOrder.map(async ({ trace, offsetMs }) => ({ ...(await trace.finish()), offsetMs })))
    const draw = DRAWINGS[path.extname(this.#path)]
    try {
      await writeFile(this.#path, draw(traces, { title: this.#title, leftOut: this.#count - traces.length }))
    } catch ({ message }) {
      throw new SpeakerError('ERR_OUTPUT', `the timeline can't be written: ${message}`)
    }
  }
}

module.exports = { Picture, FORMATS: Object.keys(DRAWINGS) }
