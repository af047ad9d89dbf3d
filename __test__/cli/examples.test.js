'use strict'

// The examples, as a user runs them.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const FRAME_MS = 20
const FRAME_BYTES = (16000 * FRAME_MS * 2) / 1000

/** Runs an example; it must end well. */
function run(name, ...options) {
  return promisify(execFile)(process.execPath, [path.join(__dirname, '..', '..', 'examples', name), ...options], {
    maxBuffer: 2 ** 26
  })
}

/** The bytes of audio before the first StopAudio, between two, and after the last one. */
function sections(messages) {
  const bytes = [0]
  for (const message of messages) {
    if (message.Kind === 'StopAudio') {
      assert.deepEqual(message, { Kind: 'StopAudio', AudioData: null, StopAudio: {} })
      bytes.push(0)
    } else {
      const { Data } = message.AudioData
      assert.deepEqual(message, { Kind: 'AudioData', AudioData: { Data }, StopAudio: null })
      bytes.push(bytes.pop() + Buffer.from(Data, 'base64').length)
    }
  }
  return bytes
}

const lines = (text) => text.trimEnd().split('\n')

test('barge-in stops a turn and the next one plays', async () => {
  const { stdout, stderr } = await run('barge-in.js')
  assert.deepEqual(lines(stderr).filter((line) => line.startsWith('turn')), [
    'turn 1: 1500.0 ms were heard',
    'turn 1: stopped after 1505.0 ms',
    'turn 4: ERR_QUEUE_FULL: too many queued playbacks (max 1)',
    'turn 2: completed after 2089.8 ms',
    'turn 3: 510.2 ms were heard',
    'turn 3: stopped after 515.2 ms',
    'turn 5: completed after 2089.8 ms'
  ])
  const messages = lines(stdout).map((line) => JSON.parse(line))
  // The last frame of what was interrupted is still on its way through the resampler to 16 kHz.
  assert.deepEqual(sections(messages).map((bytes) => bytes / FRAME_BYTES), [
    1500 / FRAME_MS - 1,
    (2089.8 + 510.2) / FRAME_MS - 1,
    Math.ceil(2089.8 / FRAME_MS)
  ])
  assert.equal((await run('barge-in.js')).stdout, stdout, 'the same messages each time')
})

test('barge-in gives the same in real time', async () => {
  const { stdout, stderr } = await run('barge-in.js', '--realtime')
  const story = (text) => lines(text).map((line) => line.replace(/\d+\.\d+ ms/, '…')).sort()
  assert.deepEqual(story(stderr), story((await run('barge-in.js')).stderr))
  const [first, second, third] = sections(lines(stdout).map((line) => JSON.parse(line)))
  assert.ok(first > 0 && second > 2089 * 32, `${first}, ${second}`)
  assert.ok(third >= Math.ceil(2089.8 / FRAME_MS) * FRAME_BYTES, `${third} of the last turn`)
})
