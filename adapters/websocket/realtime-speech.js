'use strict'

const { knownOptions, listen, openSocket, parsed, refuse, send } = require('./socket')

const OPTIONS = ['socket', 'line', 'session', 'stream', 'interrupts']

/** The names of the present interface and of the beta before it. */
const DELTA = ['response.output_audio.delta', 'response.audio.delta']
const DONE = ['response.output_audio.done', 'response.audio.done']

function warn(error) {
  process.emitWarning(error)
}

/** Plays what a model of OpenAI's Realtime API says. Documented in index.d.ts. */
class RealtimeSpeech {
  #socket
  #session
  /** What interrupts: the line, or the session itself. */
  #player
  #options
  #interrupts
  /** What is being said, by the id of its item, until its response is done: `{ stream, contentIndex, responseId, isOver, isDone }`. */
  #items = new Map()

  constructor(options) {
    const { socket, line, session = line?.session, stream = {}, interrupts = true } = knownOptions(options, 'RealtimeSpeech', OPTIONS)
    if (typeof session?.createStream !== 'function') throw refuse('a line or a session', 'session', session)
    this.#socket = openSocket(socket)
    this.#session = session
    this.#player = line ?? session
    this.#options = stream
    this.#interrupts = interrupts
    listen(socket, { message: (data) => this.#hear(data), close: () => this.#endAll() })
  }

  receive(message) {
    const event = parsed(message) ?? {}
    if (DELTA.includes(event.type)) this.#play(event)
    else if (DONE.includes(event.type)) this.#items.get(event.item_id)?.stream?.end()
    else if (event.type === 'response.done') this.#end(event.response?.id)
    else if (event.type === 'input_audio_buffer.speech_started' && this.#interrupts) this.#truncate().catch(warn)
    else return false
    return true
  }

  async interrupt(request) {
    const cut = await this.#truncate(request)
    // The server does so itself where it has heard the interruption.
    const responses = new Set(cut.map(({ responseId }) => responseId))
    for (const responseId of responses) this.#send({ type: 'response.cancel', response_id: responseId })
  }

  /** What the socket's own event brings: an error there would end the process. */
  #hear(message) {
    try {
      this.receive(message)
    } catch (error) {
      warn(error)
    }
  }

  #play({ item_id: itemId, content_index: contentIndex = 0, response_id: responseId, delta }) {
    if (typeof itemId !== 'string' || typeof delta !== 'string') return
    const item = this.#items.get(itemId) ?? this.#begin({ itemId, contentIndex, responseId })
    // What comes behind an interruption was under way, and is not to be heard.
    if (item && !item.isOver && item.stream.writable) item.stream.write(Buffer.from(delta, 'base64'))
  }

  #begin({ itemId, contentIndex, responseId }) {
    if (this.#session.connection === 'closed') return undefined
    // If there can't be one, that is told once, and not for each piece.
    const item = { stream: undefined, contentIndex, responseId, isOver: true, isDone: false }
    this.#items.set(itemId, item)
    item.stream = this.#session.createStream({
      role: 'voice',
      stopOther: false,
      overlap: 'queue',
      ...this.#options,
      group: itemId,
      format: 'pcm16',
      sampleRate: 24000
    })
    item.isOver = false
    const over = (heard) => this.#over(itemId, item, heard)
    item.stream.finished.then(over, over)
    return item
  }

  /** An item is played to its end, or has ended otherwise; `heard` says how, or is an error that does. */
  #over(itemId, item, { outcome, positionMs = 0 }) {
    if (!item.isOver && outcome !== 'completed') this.#tell(itemId, item, positionMs)
    item.isOver = true
    if (item.isDone) this.#items.delete(itemId)
  }

  /** A response is complete: nothing of its items follows. */
  #end(responseId) {
    for (const [itemId, item] of this.#items) {
      if (item.responseId !== responseId) continue
      item.isDone = true
      item.stream?.end()
      if (item.isOver) this.#items.delete(itemId)
    }
  }

  /** Nothing more comes: what came is played. */
  #endAll() {
    for (const { stream } of this.#items.values()) stream?.end()
    this.#items.clear()
  }

  /** Interrupts, and tells the model how much was heard. Returns the items that are still being made. */
  async #truncate(request) {
    const { groups } = await this.#player.interrupt(request)
    const cut = []
    for (const { group, heardMs } of groups) {
      const item = this.#items.get(group)
      if (!item || item.isOver) continue
      item.isOver = true
      this.#tell(group, item, heardMs)
      if (!item.isDone) cut.push(item)
    }
    return cut
  }

  /** Tells the model how much of an item was heard. */
  #tell(item_id, { contentIndex: content_index }, heardMs) {
    this.#send({ type: 'conversation.item.truncate', item_id, content_index, audio_end_ms: Math.floor(heardMs) })
  }

  #send(event) {
    send(this.#socket, JSON.stringify(event))
  }
}

module.exports = { RealtimeSpeech }
