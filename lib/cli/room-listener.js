'use strict'

const { fork } = require('node:child_process')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const { SpeakerError } = require('../error')
const { decibels } = require('./format')

/** The power below which a frame is inaudible: −60 dBFS. */
const AUDIBLE = 1e-6
/** A shorter silence than this does not end a sound. */
const PAUSE_MS = 200
const LOOK_MS = 20
const JOIN_MS = 10_000
/** The time limit for leaving a room. */
const GOODBYE_MS = 1000

/** The sounds heard on each track of a room, by a process that listens there. */
class RoomListener {
  #process
  #exited
  /** The audible frames of each track. */
  #tracks = new Map()

  /** Listens at `{ url, token }`. */
  static async open(where) {
    const listener = new RoomListener()
    listener.#process = fork(path.join(__dirname, 'listener-process.js'), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    listener.#exited = new Promise((resolve) => listener.#process.once('exit', resolve))
    try {
      await listener.#join(where)
      return listener
    } catch ({ message }) {
      await listener.close()
      throw new SpeakerError('ERR_JOIN_FAILED', `Nobody can listen in the room: ${message}`)
    }
  }

  #join(where) {
    return new Promise((resolve, reject) => {
      this.#process.once('exit', (code, signal) => reject(new Error(`the listener ended with ${code ?? signal}`)))
      this.#process.on('message', ({ frame, found, refused }) => {
        if (frame) this.#hear(frame)
        else if (found) this.#tracks.set(found, this.#tracks.get(found) ?? [])
        else if (refused) reject(new Error(refused))
        else resolve()
      })
      this.#process.send(where)
      setTimeout(() => reject(new Error(`no answer within ${JOIN_MS} ms`)), JOIN_MS).unref()
    })
  }

  #hear({ track, ...frame }) {
    if (frame.power >= AUDIBLE) this.#tracks.get(track).push(frame)
  }

  /** Waits until all of these tracks are subscribed to; returns false if that takes longer than `limitMs`. */
  async listensTo(tracks, limitMs) {
    for (const begun = performance.now(); performance.now() - begun < limitMs; await sleep(LOOK_MS)) {
      if (tracks.every((track) => this.#tracks.has(track))) return true
    }
    return false
  }

  /** Returns the sounds heard: `{ track, beganAtMs, endedAtMs, levelDb, hz, frames }` in order of time, in ms since `zero`. */
  sounds(zero) {
    const sounds = [...this.#tracks].flatMap(([track, frames]) => {
      const timed = frames.map(({ epochMs, ...frame }) => ({ atMs: epochMs - zero, ...frame }))
      return split(timed).map((part) => sound(track, part))
    })
    return sounds.sort((a, b) => a.beganAtMs - b.beganAtMs)
  }

  /** Leaves the room. */
  async close() {
    if (this.#process.connected) this.#process.disconnect()
    const late = setTimeout(() => this.#process.kill('SIGKILL'), GOODBYE_MS)
    await this.#exited
    clearTimeout(late)
  }
}

/** Splits frames at pauses. */
function split(frames) {
  const parts = []
  for (const frame of frames) {
    const last = parts.at(-1)?.at(-1)
    if (last && frame.atMs - last.atMs <= PAUSE_MS) parts.at(-1).push(frame)
    else parts.push([frame])
  }
  return parts
}

function sound(track, frames) {
  const sum = (name) => frames.reduce((total, frame) => total + frame[name], 0)
  return {
    track,
    beganAtMs: frames[0].atMs,
    endedAtMs: frames.at(-1).atMs + frames.at(-1).lengthMs,
    levelDb: decibels(sum('power') / frames.length),
    // A tone crosses zero twice in a period; for anything else this is only roughly the pitch.
    hz: (500 * sum('crossings')) / sum('lengthMs'),
    frames
  }
}

module.exports = { RoomListener }
