'use strict'

// The content of a WAV file as one sign per 50 ms: '#' for a tone of 440 Hz, '^' for one of 880 Hz, '.' for silence, '?' for anything
// else or mixed. Analysed in its own process, because healthy sessions beside it must not wait for that.

const { execFile } = require('node:child_process')
const { promisify } = require('node:util')

const { level, readWav } = require('../support/wav')

const WINDOW = 2400
const LEVEL = 0.3

/** Resolves to the signs; rejects if the file's header does not match its size. Of two channels it reads the first. */
async function heard(file) {
  const { stdout } = await promisify(execFile)(process.execPath, [__filename, file])
  return stdout
}

function signs(file) {
  const { channels, samples } = readWav(file)
  const first = samples.filter((_, n) => n % channels === 0)
  const sign = (_, index) => {
    const from = index * WINDOW
    const is = (hz) => Math.abs(level(first, from, from + WINDOW, hz) - LEVEL) < 0.01
    if (is(440)) return '#'
    if (is(880)) return '^'
    return first.subarray(from, from + WINDOW).every((sample) => sample === 0) ? '.' : '?'
  }
  return Array.from({ length: Math.floor(first.length / WINDOW) }, sign).join('')
}

if (require.main === module) process.stdout.write(signs(process.argv[2]))

module.exports = { heard }
