'use strict'

const { printable } = require('./format')

const EVERY_MS = 100
const CLEAR_LINE = '\r\x1b[K'

/** The progress line at the bottom of a terminal; nothing where there is no terminal. */
class ProgressLine {
  #terminal
  #timer

  constructor(terminal, text) {
    this.#terminal = terminal
    if (terminal.isTTY) this.#timer = setInterval(() => this.#draw(text()), EVERY_MS).unref()
  }

  /** Clears the line for other output; the next update draws it again. */
  clear() {
    if (this.#timer) this.#terminal.write(CLEAR_LINE)
  }

  end() {
    this.clear()
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #draw(text) {
    this.#terminal.write(CLEAR_LINE + printable(text).slice(0, this.#terminal.columns - 1))
  }
}

module.exports = { ProgressLine }
