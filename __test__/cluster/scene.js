'use strict'

// A cluster with speakers and ears in it, for one row of run.js.

const path = require('node:path')

const { startCluster } = require('../../examples/cluster/cluster')
const { accessToken } = require('../../lib/livekit/access-token')
const { Child } = require('./child')

const OPEN_MS = 120_000
const ASK_MS = 20_000

class Scene {
  cluster
  /** Each speaker: `{ n, room, identity, node, signalling, events }`, with the nodes that have its room and its signalling. */
  speakers
  #parts = []
  #speaking
  #hearing
  /** The node to which the balancer last sent each participant. */
  #routes = new Map()

  /** Opens a scene of `count` speakers, of which every `every`th is listened to. */
  static async open({ count, every, ...options }) {
    const scene = new Scene()
    try {
      await scene.#open(count, every, options)
      return scene
    } catch (error) {
      await scene.close()
      throw error
    }
  }

  async #open(count, every, options) {
    this.cluster = await startCluster({ ...options, onRoute: (head, node) => this.#routes.set(identityIn(head), node) })
    this.#parts.push(() => this.cluster.stop())
    this.speakers = Array.from({ length: count }, (_, n) => ({ n, room: `room-${n}`, identity: `speaker-${n}`, events: [] }))
    this.#speaking = this.#start('speakers.js')
    this.#speaking.onMessage = ({ n, ...event }) => this.speakers[n].events.push(event)
    const tokens = await Promise.all(this.speakers.map(({ room, identity }) => this.#token(room, identity)))
    const errors = await this.#speaking.ask('open', { url: this.cluster.url, tokens }, OPEN_MS)
    if (errors.length > 0) throw new Error(`${errors.length} of ${count} did not join: ${errors[0]}`)

    this.#hearing = this.#start('ears.js')
    const heard = this.speakers.filter(({ n }) => n % every === 0)
    const ears = await Promise.all(heard.map(async ({ room, identity }, nth) => {
      return [await this.#ear(room, identity, 'ours'), nth % 2 === 0 && await this.#ear(room, identity, 'theirs')]
    }))
    await this.#hearing.ask('open', ears.flat().filter(Boolean), OPEN_MS)
    for (const speaker of this.speakers) {
      speaker.node = await this.cluster.nodeOf(speaker.room)
      speaker.signalling = this.#routes.get(speaker.identity)
    }
  }

  #start(file) {
    const child = new Child(path.join(__dirname, file))
    this.#parts.push(() => child.end())
    return child
  }

  #token(room, identity) {
    return accessToken(this.cluster, room, identity, { canPublish: true, canSubscribe: true })
  }

  async #ear(room, speaker, kind) {
    return { url: this.cluster.url, room, speaker, kind, token: await this.#token(room, `${kind}-in-${room}`) }
  }

  /** Forgets the events and the silence so far. */
  async forget() {
    await this.#hearing.ask('forget', undefined, ASK_MS)
    for (const speaker of this.speakers) speaker.events = []
  }

  /** Resolves with the ears: `{ room, kind, silentMs, hears, hasLeft }`. */
  heard() {
    return this.#hearing.ask('heard', undefined, ASK_MS)
  }

  states() {
    return this.#speaking.ask('states', undefined, ASK_MS)
  }

  /** Resolves with true if each node that is there has reported to Redis lately (LiveKit's health check). */
  async isReady() {
    const answers = await Promise.all(this.cluster.nodes.map(({ port }) => fetch(`http://127.0.0.1:${port}/`).catch(() => ({ ok: true }))))
    return answers.every(({ ok }) => ok)
  }

  /** Resolves with how long new ears take to hear these speakers. */
  async freshEars(speakers) {
    const ears = await Promise.all(speakers.map(({ room, identity }) => this.#ear(room, identity, 'fresh')))
    return this.#hearing.ask('fresh', ears, ASK_MS)
  }

  /** Ends the speakers, which tells how much of them was not heard. */
  async end() {
    await this.#hearing.ask('stop', undefined, ASK_MS)
    await this.#speaking.ask('stop', undefined, ASK_MS)
  }

  async close() {
    for (const part of this.#parts.splice(0).reverse()) await part()
  }
}

function identityIn(head) {
  const token = /^authorization: *bearer (\S+)/im.exec(head)?.[1] ?? /[?&]access_token=([^&\s]+)/.exec(head)?.[1]
  return token && JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).sub
}

module.exports = { Scene }
