'use strict'

// A real browser without a window: Chromium or Chrome on PATH, or Debian's (debian.js), driven by the DevTools protocol over a pipe. It plays without
// a click, into no loudspeaker, and its profile is removed with it.
// On its own (`node scripts/chromium.js`) it only makes sure that there is one, and prints its path.

const { spawn } = require('node:child_process')
const { EventEmitter, once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const debian = require('./debian')

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']
/** The time limit for its first answer, and for its end. */
const START_MS = 60_000
const END_MS = 5000
/** The interval at which a condition in a page is evaluated. */
const EVERY_MS = 50

const FLAGS = [
  '--headless', '--remote-debugging-pipe', '--no-first-run', '--no-default-browser-check', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-extensions', '--disable-dev-shm-usage', '--disable-gpu', '--hide-scrollbars',
  '--mute-audio', '--autoplay-policy=no-user-gesture-required',
  // Otherwise a page in the background gets its timers and its painting throttled.
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
  // A LiveKit server of a test is on loopback only.
  '--allow-loopback-in-peer-connection'
]

/** Returns the path of the browser; throws with the reason if there is none. */
function executable() {
  return NAMES.find(debian.isInstalled) ?? debian.executable('chromium', 'usr/lib/chromium/chromium', { withLibraries: true })
}

/** A running browser. */
class Browser {
  #process
  #exited
  #profile = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-chromium-'))
  #stderr = ''
  #calls = 0
  /** What is to be called with the answers of calls, by their number. */
  #waiting = new Map()
  /** The pages, by the session of the protocol. */
  #pages = new Map()

  /** Starts one. Resolves once it answers. */
  static async start() {
    const browser = new Browser()
    try {
      await browser.#begin()
      return browser
    } catch (error) {
      await browser.stop()
      throw error
    }
  }

  async #begin() {
    const program = executable()
    // Its sandbox refuses to run as root.
    const flags = [...FLAGS, `--user-data-dir=${this.#profile}`, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])]
    const libraries = debian.libraries('chromium', program)
    // Its temporary files go with its profile.
    const env = { ...process.env, TMPDIR: this.#profile, ...(libraries.length > 0 && { LD_LIBRARY_PATH: libraries.join(path.delimiter) }) }
    // A group of its own, so that its own processes end with it.
    this.#process = spawn(program, [...flags, 'about:blank'], { env, detached: true, stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] })
    this.#exited = new Promise((resolve) => this.#process.once('close', resolve))
    const failed = new Promise((_, reject) => {
      this.#process.once('error', reject)
      this.#process.once('exit', (code, signal) => reject(new Error(`${program} ended with ${code ?? signal}\n${this.#stderr}`)))
    })
    failed.catch((error) => this.#lose(error))
    process.once('exit', this.#end)
    this.#process.stderr.on('data', (data) => (this.#stderr = `${this.#stderr}${data}`.slice(-4000)))
    for (const stream of this.#process.stdio.slice(3)) stream.on('error', () => {}) // told by its end
    this.#read(this.#process.stdio[4])
    const late = sleep(START_MS, undefined, { ref: false }).then(() => {
      throw new Error(`${program} did not answer within ${START_MS / 1000} s\n${this.#stderr}`)
    })
    await Promise.race([this.send('Browser.getVersion'), failed, late])
  }

  /** Reads messages, each of which ends with a zero byte. */
  #read(stream) {
    let parts = []
    stream.on('data', (data) => {
      for (let end = data.indexOf(0); end !== -1; end = data.indexOf(0)) {
        const message = Buffer.concat([...parts, data.subarray(0, end)])
        parts = []
        data = data.subarray(end + 1)
        this.#take(JSON.parse(message))
      }
      if (data.length > 0) parts.push(data)
    })
  }

  #take({ id, sessionId, method, params, result, error }) {
    if (id === undefined) return this.#pages.get(sessionId)?.emit(method, params)
    const { resolve, reject, asked } = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error) reject(new Error(`${asked}: ${error.message}`))
    else resolve(result)
  }

  #lose(error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  /** Calls a method of the DevTools protocol. */
  send(method, params = {}, sessionId) {
    return new Promise((resolve, reject) => {
      const id = ++this.#calls
      this.#waiting.set(id, { resolve, reject, asked: method })
      this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  }

  /** Opens a page at an address. Resolves once it has loaded. */
  async open(url, { width = 1200, height = 900 } = {}) {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', newWindow: true })
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    const close = async () => {
      await this.send('Target.closeTarget', { targetId })
      this.#pages.delete(sessionId)
    }
    const page = new Page((method, params) => this.send(method, params, sessionId), close)
    this.#pages.set(sessionId, page)
    await page.begin(url, { width, height })
    return page
  }

  #kill() {
    try {
      if (this.#process?.pid !== undefined) process.kill(-this.#process.pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }

  /** Ends all its processes at once, and removes its profile. */
  #end = () => {
    this.#kill()
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10 })
  }

  /** Ends it with all its processes, and removes its profile. */
  async stop() {
    if (this.#process?.pid !== undefined) {
      if (this.#process.exitCode === null) this.send('Browser.close').catch(() => {})
      await Promise.race([this.#exited, sleep(END_MS, undefined, { ref: false })])
      this.#kill()
      await this.#exited
      process.off('exit', this.#end)
    }
    this.#end()
  }
}

/** A page. Emits the events of the DevTools protocol that it gets. */
class Page extends EventEmitter {
  /** What the page has reported as wrong: errors and warnings of its console, exceptions, files that it did not get. */
  errors = []
  #send
  #close

  constructor(send, close) {
    super()
    this.#send = send
    this.#close = close
  }

  async begin(url, size) {
    this.on('Runtime.exceptionThrown', ({ exceptionDetails }) => this.errors.push(describe(exceptionDetails)))
    this.on('Runtime.consoleAPICalled', ({ type, args }) => {
      if (['error', 'assert', 'warning'].includes(type)) this.errors.push(args.map(({ value, description }) => value ?? description).join(' '))
    })
    this.on('Log.entryAdded', ({ entry }) => {
      if (['error', 'warning'].includes(entry.level)) this.errors.push(`${entry.text} ${entry.url ?? ''}`)
    })
    for (const domain of ['Page', 'Runtime', 'Log']) await this.#send(`${domain}.enable`)
    await this.#send('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false })
    const loaded = once(this, 'Page.loadEventFired')
    const { errorText } = await this.#send('Page.navigate', { url })
    if (errorText) throw new Error(`${url}: ${errorText}`)
    await loaded
  }

  close() {
    return this.#close()
  }

  /** Calls a function in the page, as a click would. Resolves with what it returns, which has to be JSON. */
  async evaluate(call, ...args) {
    const expression = `(${call})(${args.map((arg) => JSON.stringify(arg)).join(', ')})`
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true })
    if (exceptionDetails) throw new Error(describe(exceptionDetails))
    return result.value
  }

  /** Calls a function in the page until it returns something that is true, and resolves with that. */
  async until(what, call, ...args) {
    for (let waitedMs = 0; waitedMs < 20_000; waitedMs += EVERY_MS) {
      const value = await this.evaluate(call, ...args)
      if (value) return value
      await sleep(EVERY_MS)
    }
    throw new Error(`it never happened: ${what}`)
  }

  /** Clicks into the middle of an element with the mouse. */
  async click(selector) {
    const at = await this.evaluate((selector) => {
      const element = document.querySelector(selector)
      element.scrollIntoView({ block: 'nearest', behavior: 'instant' })
      const { left, top, width, height } = element.getBoundingClientRect()
      return { x: left + width / 2, y: top + height / 2 }
    }, selector)
    const mouse = (type) => this.#send('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 })
    await mouse('mousePressed')
    await mouse('mouseReleased')
  }

  /** Presses a key: a letter, or a name such as `Tab`. */
  async press(key) {
    const codes = { Tab: 9, Enter: 13, Escape: 27, ' ': 32, ArrowLeft: 37, ArrowRight: 39 }
    const windowsVirtualKeyCode = codes[key] ?? key.toUpperCase().charCodeAt(0)
    const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined
    await this.#send('Input.dispatchKeyEvent', { type: 'keyDown', key, text, windowsVirtualKeyCode })
    await this.#send('Input.dispatchKeyEvent', { type: 'keyUp', key, windowsVirtualKeyCode })
  }

  /** Sets the theme that the system asks for: `light` or `dark`. */
  prefer(theme) {
    return this.#send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: theme }] })
  }

  /** Returns a picture of what is seen: `png`, or `webp` or `jpeg` of a quality. */
  async screenshot({ format = 'png', quality } = {}) {
    const { data } = await this.#send('Page.captureScreenshot', { format, quality })
    return Buffer.from(data, 'base64')
  }
}

function describe({ text, exception, url, lineNumber }) {
  return `${exception?.description ?? `${text} ${exception?.value ?? ''}`} (${url ?? ''}:${lineNumber})`
}

module.exports = { Browser, executable }

if (require.main === module) console.log(executable())
