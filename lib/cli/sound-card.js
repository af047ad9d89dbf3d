'use strict'

// Plays on the sound card with a program that plays WAV files: ALSA's aplay, ffmpeg's ffplay, or afplay of macOS.

const { spawn } = require('node:child_process')
const { existsSync, readdirSync, accessSync, constants, mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')

const { SpeakerError } = require('../error')
const { wavHeader } = require('../wav-header')

/** The length in the header of a file whose length is not known yet. */
const UNKNOWN = 0xffffffff

/** The device that every program knows. */
const DEFAULT = 'default'

/** Programs in the order in which they are tried. `args` returns the arguments for a file or standard input, and for a device if the program knows devices. */
const PLAYERS = {
  aplay: { args: (file, device) => ['-q', '-t', 'wav', ...(device === DEFAULT ? [] : ['-D', device]), file ?? '-'], knowsDevices: true },
  ffplay: { args: (file) => ['-nodisp', '-autoexit', '-loglevel', 'error', '-i', file ?? 'pipe:0'] },
  afplay: { args: (file) => [file], needsFile: true }
}

/** Returns the name of a program on the PATH that plays on this device; undefined if there is none. */
function findPlayer(device) {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean)
  return Object.keys(PLAYERS).find((name) => (device === DEFAULT || PLAYERS[name].knowsDevices) && folders.some((folder) => isProgram(path.join(folder, name))))
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Returns true if sound is likely to be audible: on Linux, if there is a sound card or a sound server. */
function hasSound() {
  if (process.platform !== 'linux') return true
  const { PULSE_SERVER, XDG_RUNTIME_DIR } = process.env
  const servers = ['pulse/native', 'pipewire-0'].map((name) => XDG_RUNTIME_DIR && path.join(XDG_RUNTIME_DIR, name))
  if (PULSE_SERVER || servers.some((name) => name && existsSync(name))) return true
  try {
    return readdirSync('/dev/snd').some((name) => /^pcm.*p$/.test(name))
  } catch {
    return false
  }
}

/** Returns the default device; undefined if there is none, or no program for it. */
function usualDevice() {
  return hasSound() && findPlayer(DEFAULT) ? DEFAULT : undefined
}

/** The sound card as an output, in real time. */
class SoundCard {
  clock = 'realtime'
  #player
  #device
  #channels
  #program
  #end
  /** The folder of the file, for a program that can't read standard input. */
  #folder

  constructor({ device, stereo }) {
    this.#player = findPlayer(device)
    if (!this.#player) {
      const expected = device === DEFAULT ? `${Object.keys(PLAYERS).join(', ')}` : Object.keys(PLAYERS).filter((name) => PLAYERS[name].knowsDevices).join(', ')
      throw new SpeakerError('ERR_INVALID_ARGUMENT', `Expected one of these programs on the PATH for --device ${device} but received none: ${expected}`)
    }
    this.name = `sound card (${this.#player})`
    this.#device = device
    this.#channels = stereo ? 2 : 1
    if (PLAYERS[this.#player].needsFile) {
      this.#folder = mkdtempSync(path.join(tmpdir(), 'speaker-session-'))
      this.clock = 'manual'
      this.output = { type: 'wav', clock: 'manual', channels: this.#channels, path: path.join(this.#folder, 'mix.wav') }
    } else {
      this.output = { type: 'pcm', channels: this.#channels, continuous: true, onFrame: (frame) => this.#program?.stdin.write(frame) }
    }
  }

  async prepare(session) {
    if (this.#folder) return 0
    this.#start()
    this.#program.stdin.write(wavHeader(UNKNOWN, 48000, this.#channels))
    // `finish` reports what can't be played.
    this.#program.once('exit', () => session.close().catch(() => {}))
    return 0
  }

  async heard() {
    return { sounds: [], missed: [] }
  }

  unplayedProblems() {
    return [{ code: 'ERR_OUTPUT', message: 'nothing was played' }]
  }

  /** Waits until the last sound was played; rejects if the program has failed. */
  async finish() {
    if (this.#folder && existsSync(this.output.path)) this.#start(this.output.path)
    this.#program?.stdin.end()
    await this.#end
  }

  async close() {
    this.#program?.kill()
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true })
  }

  #start(file) {
    const program = spawn(this.#player, PLAYERS[this.#player].args(file, this.#device), { stdio: ['pipe', 'ignore', 'pipe'] })
    this.#program = program
    let errorText = ''
    program.stderr.setEncoding('utf8').on('data', (text) => (errorText = `${errorText}${text}`.slice(0, 1000)))
    // It has exited; its exit code tells why.
    program.stdin.on('error', () => {})
    this.#end = new Promise((resolve, reject) => {
      const failed = (why) => {
        const message = `${this.#player} can't play on ${this.#device === DEFAULT ? 'the sound card' : this.#device}: ${why}; --out FILE writes a WAV file`
        reject(new SpeakerError('ERR_OUTPUT', message))
      }
      program.once('error', ({ message }) => failed(message))
      program.once('close', (code, signal) => (code === 0 ? resolve() : failed(errorText.trim().split('\n', 1)[0] || `it ended with ${code ?? signal}`)))
    })
    this.#end.catch(() => {})
  }
}

module.exports = { SoundCard, usualDevice }
