'use strict'

// The number of threads is that of docs/performance.md for any number of sessions, and no session is starved.

const assert = require('node:assert/strict')
const { availableParallelism } = require('node:os')
const { test } = require('node:test')

const { memory, run } = require('../support/process')
const { tone } = require('../support/wav')

/** The limits of docs/performance.md. */
const cores = availableParallelism()
const few = Math.min(cores, 4)

/** Returns the names of the addon's threads in this process, without their numbers. */
const threads = `
  const { readdirSync, readFileSync } = require('node:fs')
  const tasks = () => readdirSync('/proc/self/task').map((id) => '/proc/self/task/' + id)
  const nameOf = (task) => readFileSync(task + '/comm', 'utf8').trim()
  const ours = (kind) => tasks().filter((task) => nameOf(task).startsWith('speaker-' + kind))
`

/** Serves a second of sound under a name that needs a look-up. */
const serve = `
  const http = require('node:http')
  const { once } = require('node:events')
  const clip = readFileSync('clip.wav')
  const serve = async () => {
    const server = http.createServer((request, response) => response.end(clip))
    server.listen(0)
    await once(server, 'listening')
    return { url: 'http://localhost:' + server.address().port + '/clip.wav', close: () => (server.close(), server.closeAllConnections()) }
  }
`

test('600 sessions wait for look-ups without more threads', async (t) => {
  const { code, out, err } = await run(t, `
    ${threads}
    ${serve}
    ;(async () => {
      const { url, close } = await serve()
      const sessions = Array.from({ length: 600 }, () => new SpeakerSession({ output: { type: 'memory', clock: 'manual' } }))
      let most = { io: 0, fetch: 0, decode: 0, mix: 0 }
      const look = setInterval(() => { for (const kind in most) most[kind] = Math.max(most[kind], ours(kind).length) }, 5)
      const outcomes = await Promise.all(sessions.map(async (session) => {
        const playing = session.playAudio({ audioUrl: url })
        await session.advance(500)
        return (await playing).outcome
      }))
      clearInterval(look)
      console.log(outcomes.every((outcome) => outcome === 'completed'), JSON.stringify(most))
      await Promise.all(sessions.map((session) => session.close()))
      close()
    })()
  `)
  assert.deepEqual([code, err], [0, ''])
  const [, completed, most] = /^(\w+) (.*)\n$/.exec(out)
  assert.equal(completed, 'true')
  const { io, fetch, decode, mix } = JSON.parse(most)
  assert.deepEqual([io, decode, mix], [cores, few, few])
  assert.ok(fetch >= few && fetch <= few + 16, `${fetch} threads for downloads on ${cores} cores`)
})

test('decoding runs at a lower priority than ticking', { skip: process.platform !== 'linux' }, async (t) => {
  const { code, out } = await run(t, `
    ${threads}
    ;(async () => {
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      session.playAudio({ audioUrl: 'clip.wav' })
      await session.advance(100)
      await session.close()
      // The fields after the name, which may contain spaces: the 17th is the nice value.
      const nice = (task) => Number(readFileSync(task + '/stat', 'utf8').replace(/^.*\\) /, '').split(' ')[16])
      const own = nice('/proc/self')
      const of = (kind) => [...new Set(ours(kind).map((task) => nice(task) - own))]
      console.log(own, JSON.stringify([of('io'), of('decode'), of('mix')]))
    })()
  `)
  const [own, steps] = out.split(' ')
  const step = Math.min(5, 19 - Number(own))
  assert.deepEqual([code, JSON.parse(steps)], [0, [[0], [step], [step]]])
})

test('refused threads are reported and retried', { skip: process.platform !== 'linux' }, async (t) => {
  const { code, out } = await run(t, `
    const { execFileSync, spawn } = require('node:child_process')
    const { once } = require('node:events')
    const open = () => {
      try {
        return new SpeakerSession(${memory})
      } catch (error) {
        return error
      }
    }
    ;(async () => {
      // The limit counts all threads of a user and does not apply to root; another user has only this process.
      if (process.getuid() === 0) process.setuid(65534)
      const before = execFileSync('prlimit', ['--pid', process.pid, '--nproc', '--raw', '--noheadings', '--output', 'SOFT'])
      // Made beforehand, because making it is another process.
      const back = spawn('sh', ['-c', 'read line; exec prlimit --pid $PPID --nproc=' + String(before).trim() + ':'])
      execFileSync('prlimit', ['--pid', process.pid, '--nproc=1:'])
      const refused = open()
      console.log(refused.name, refused.code, refused.message.startsWith('Expected up to '))
      back.stdin.end('now\\n')
      await once(back, 'exit')
      const { outcome } = await open().playAudio({ audio: Buffer.from(${JSON.stringify(tone(440, 20).toString('base64'))}, 'base64') })
      console.log(outcome)
    })()
  `)
  assert.deepEqual([code, out], [0, 'SpeakerError ERR_NO_THREADS true\ncompleted\n'])
})
