'use strict'

// A process that uses streams as the README says survives their early end, and exits when it has nothing to do.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { memory, run } = require('../support/process')

/** Speaks in both ways that the documents recommend, ends the speech in every way, and prints the results. */
const speaking = `
  const { once } = require('node:events')
  const { pipeline } = require('node:stream/promises')
  const REQUEST = { format: 'pcm16', sampleRate: 24000, role: 'voice' }
  let makers = 0
  async function* tts() {
    makers += 1
    try {
      for (;;) yield Buffer.alloc(4800)
    } finally {
      makers -= 1
    }
  }
  const recipes = {
    async piped(session, request) {
      const speech = session.createStream(request)
      pipeline(tts(), speech).catch(() => {})
      return [speech, speech.finished]
    },
    async written(session, request) {
      const speech = session.createStream(request)
      const write = async () => {
        try {
          for await (const piece of tts()) if (!speech.write(piece)) await once(speech, 'drain')
          speech.end()
        } catch (error) {
          speech.destroy(error)
        }
      }
      write()
      return [speech, speech.finished]
    },
    async read(session, request) {
      return [undefined, session.playAudio({ audio: tts(), ...request })]
    }
  }
  const ends = {
    interrupt: (session) => session.interrupt(),
    stopAudio: (session) => session.stopAudio(),
    stopOther: (session) => void session.createStream(REQUEST).destroy(),
    abort: (session, speech, controller) => controller.abort(),
    destroy: (session, speech) => speech ? speech.destroy() : session.stopAudio(),
    maxDurationMs: () => {},
    close: (session) => session.close()
  }
  async function speak(say) {
    for (const [recipe, begin] of Object.entries(recipes)) {
      for (const [how, end] of Object.entries(ends)) {
        const session = new SpeakerSession({ ...${memory}, ...(how === 'maxDurationMs' && { maxDurationMs: 60 }) })
        const controller = new AbortController()
        const started = once(session, 'started')
        const [speech, finished] = await begin(session, { ...REQUEST, signal: controller.signal })
        await started
        await end(session, speech, controller)
        const { outcome, reason } = await finished.catch(({ code }) => ({ outcome: code }))
        await new Promise(setImmediate)
        say([recipe, how, outcome, reason, makers].join(' '))
      }
    }
  }
`

const REASONS = {
  interrupt: 'interrupted', stopAudio: 'stopped', stopOther: 'replaced', abort: 'aborted', destroy: 'destroyed', close: 'closed'
}
const expected = ['piped', 'written', 'read'].flatMap((recipe) =>
  ['interrupt', 'stopAudio', 'stopOther', 'abort', 'destroy', 'maxDurationMs', 'close'].map((how) => {
    if (how === 'maxDurationMs') return `${recipe} ${how} ERR_MAX_DURATION  0`
    return `${recipe} ${how} stopped ${recipe === 'read' && how === 'destroy' ? 'stopped' : REASONS[how]} 0`
  })
)

test('realtime: a process exits after streams ended early', async (t) => {
  const { code, out, err } = await run(t, `${speaking}; speak(console.log)`)
  assert.deepEqual([code, out.trim().split('\n'), err], [0, expected, ''])
})

test('realtime: a worker exits after streams ended early', async (t) => {
  const { code, out, err } = await run(t, `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads')
    if (isMainThread) {
      const worker = new Worker(__filename)
      worker.on('message', (line) => console.log(line))
      worker.on('exit', (code) => console.log('exit ' + code))
    } else {
      ${speaking}
      speak((line) => parentPort.postMessage(line))
    }
  `)
  assert.deepEqual([code, out.trim().split('\n'), err], [0, [...expected, 'exit 0'], ''])
})

test('realtime: unawaited promises do not end the process', async (t) => {
  const { code, out, err } = await run(t, `
    ${speaking}
    const session = new SpeakerSession(${memory})
    const speech = session.createStream(REQUEST)
    while (speech.write(Buffer.alloc(4800)));
    session.once('started', () => session.interrupt())
    session.once('stopped', ({ reason }) => console.log(reason))
  `)
  assert.deepEqual([code, out, err], [0, 'interrupted\n', ''])
})
