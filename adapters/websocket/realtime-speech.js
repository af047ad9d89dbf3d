'use strict'

const check = require('../check')
const { listen, openSocket, parsed, send } = require('./socket')

const OPTIONS = ['socket', 'line', 'session', 'stream', 'interrupts']

/** The event names of the current interface and of its beta. */
const DELTA = ['response.output_audio.delta', 'response.audio.delta']
const DONE = ['response.output_audio.done', 'response.audio.done']

function warn(error) {
  process.emitWarning(error)
}

/** Plays the speech of a model of OpenAI's Realtime API. Documented in index.d.ts. */
class RealtimeSpeech {
  #socket
  #session
  /** The line, or the session itself, which interrupts. */
  #player
  #options
  #interrupts
  /** The items that are spoken, by id, until their response is done: `{ stream, contentIndex, responseId, isOver, isDone }`. */
  #items = new Map()

  constructor(options) {
    const { socket, line, session = line?.session, stream = {}, interrupts = true } = check.options(options, 'RealtimeSpeech', OPTIONS)
    if (typeof session?.createStream !== 'function') throw check.invalidArgument('a line or a session', 'session', session)
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
    // The server does so itself if it has detected the interruption.
    const responses = new Set(cut.map(({ responseId }) => responseId))
    for (const responseId of responses) this.#send({ type: 'response.cancel', response_id: responseId })
  }

  /** Handles a message of the socket, where an exception would end the process. */
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
    // Audio that arrives after an interruption was under way, and must not be heard.
    if (item && !item.isOver && item.stream.writable) item.stream.write(Buffer.from(delta, 'base64'))
  }

  #begin({ itemId, contentIndex, responseId }) {
    if (this.#session.connection === 'closed') return undefined
    // If no stream can be opened, that is reported once and not for each piece.
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

  /** Handles the end of an item; `heard` is the result of its playback, or the error. */
  #over(itemId, item, { outcome, positionMs = 0 }) {
    if (!item.isOver && outcome !== 'completed') this.#truncateItem(itemId, item, positionMs)
    item.isOver = true
    if (item.isDone) this.#items.delete(itemId)
  }

  /** Handles the end of a response: nothing of its items follows. */
  #end(responseId) {
    for (const [itemId, item] of this.#items) {
      if (item.responseId !== responseId) continue
      item.isDone = true
      item.stream?.end()
      if (item.isOver) this.#items.delete(itemId)
    }
  }

  /** Ends the input of all items, which are played to their ends. */
  #endAll() {
    for (const { stream } of this.#items.values()) stream?.end()
    this.#items.clear()
  }

  /** Interrupts, and reports to the model how much was heard. Returns the items that are still being generated. */
  async #truncate(request) {
    const { groups } = await this.#player.interrupt(request)
    const cut = []
    for (const { group, heardMs } of groups) {
      const item = this.#items.get(group)
      if (!item || item.isOver) continue
      item.isOver = true
      this.#truncateItem(group, item, heardMs)
      if (!item.isDone) cut.push(item)
    }
    return cut
  }

  /** Reports to the model how much of an item was heard. */
  #truncateItem(item_id, { contentIndex: content_index }, heardMs) {
    this.#send({ type: 'conversation.item.truncate', item_id, content_index, audio_end_ms: Math.floor(heardMs) })
  }

  #send(event) {
    send(this.#socket, JSON.stringify(event))
  }
}

module.exports = { RealtimeSpeech }
