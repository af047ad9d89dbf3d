'use strict'

const { printable, seconds } = require('./format')

const EVERY_MS = 100
const CLEAR_LINE = '\r\x1b[K'

/** The line at the bottom of a terminal that says what plays now; nothing where there is no terminal. */
class ProgressLine {
  #terminal
  #timer

  constructor(terminal, session) {
    this.#terminal = terminal
    if (terminal.isTTY) this.#timer = setInterval(() => this.#draw(session), EVERY_MS).unref()
  }

  /** Makes room for other output; the next moment draws it again. */
  clear() {
    if (this.#timer) this.#terminal.write(CLEAR_LINE)
  }

  end() {
    this.clear()
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #draw(session) {
    const playing = session.playbacks().map(({ requestId, state, positionMs }) => {
      return state === 'playing' ? `${requestId} ${seconds(positionMs, 1)}` : `${requestId} (${state})`
    })
    const line = printable(`${seconds(session.stats().timeMs, 1)}  ${playing.join(', ')}`)
    this.#terminal.write(CLEAR_LINE + line.slice(0, this.#terminal.columns - 1))
  }
}

module.exports = { ProgressLine }
