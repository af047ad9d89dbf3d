'use strict'

// The memory of clips and Buffers: counted, limited, and freed.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { collects, memory, run } = require('../support/process')

/** The start of a child's script: `settled` waits until the process's clip statistics are these. */
const SETTLED = `
  ${collects}
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const counts = () => { const { clips, clipBytes } = SpeakerSession.processStats(); return [clips, clipBytes] }
  const settled = async (clips, bytes) => {
    for (let n = 0; n < 500 && String(counts()) !== String([clips, bytes]); n++) { gc(); await sleep(20) }
    return counts()
  }
  const wav = (seconds) => {
    const file = Buffer.alloc(44 + seconds * 96000, 1)
    const { tone } = require(${JSON.stringify(require.resolve('../support/wav'))})
    tone(440, 1).copy(file, 0, 0, 44)
    file.writeUInt32LE(file.length - 8, 4)
    file.writeUInt32LE(file.length - 44, 40)
    return file
  }
`

test('an unreferenced clip is freed after its playbacks', async (t) => {
  const { code, out, err } = await run(t, `${SETTLED}
    ;(async () => {
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' } })
      const one = wav(1)
      const play = async () => {
        await SpeakerSession.clip({ audio: one })
        const playing = session.playAudio({ audio: await SpeakerSession.clip({ audio: one }) })
        await session.advance(500)
        return { playing }
      }
      const { playing } = await play()
      console.log(await settled(1, 192000 + one.length))
      await session.advance(600)
      console.log((await playing).durationMs)
      console.log(await settled(0, 0))
      await session.close()
    })()
  `)
  assert.deepEqual([code, out.split('\n'), err], [0, ['[ 1, 288044 ]', '1000', '[ 0, 0 ]', ''], ''])
})

test('the garbage collector knows the memory of clips', async (t) => {
  const { code, out, err } = await run(t, `${SETTLED}
    ;(async () => {
      // 1.1 GiB, of which 256 MiB may live at once.
      const audio = wav(10)
      for (let n = 0; n < 400; n++) await SpeakerSession.clip({ audio })
      console.log('all')
    })()
  `)
  assert.deepEqual([code, out, err], [0, 'all\n', ''])
})

test('clips beyond maxClipBytes fail', async (t) => {
  const { code, out, err } = await run(t, `${SETTLED}
    const http = require('node:http')
    ;(async () => {
      SpeakerSession.configure({ maxClipBytes: 2000000 })
      const second = await SpeakerSession.clip({ audio: wav(1) })
      const server = http.createServer((_, response) => {
        const head = wav(1)
        head.writeUInt32LE(0xffffffff, 4)
        head.writeUInt32LE(0xffffffff, 40)
        const write = () => { while (response.write(head.subarray(44))); }
        response.on('drain', write)
        response.write(head)
        write()
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      const audioUrl = 'http://127.0.0.1:' + server.address().port
      const shown = ({ code, message }) => console.log(code, message)
      await SpeakerSession.clip({ audioUrl }).catch(shown)
      await SpeakerSession.clip({ audio: wav(60) }).catch(shown)
      console.log(await settled(1, second.bytes))
      second.close()
      console.log(counts())
      SpeakerSession.configure({ maxClipBytes: 0 })
      await SpeakerSession.clip({ audio: wav(1) }).catch(shown)
      server.closeAllConnections()
      server.close()
    })()
  `)
  const refused = (max, others) =>
    `ERR_CLIPS_FULL Expected at most ${max} bytes of clips (maxClipBytes) but received more: ${others} are in use by others`
  const expected = [refused(2000000, 288044), refused(2000000, 288044), '[ 1, 288044 ]', '[ 0, 0 ]', refused(0, 0), '']
  assert.deepEqual([code, out.split('\n'), err], [0, expected, ''])
})

test('making a clip keeps the process alive', async (t) => {
  const { code, out, err } = await run(t, `${SETTLED}
    const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
    if (isMainThread) {
      const worker = new Worker(__filename)
      worker.once('exit', async () => console.log('after the worker', await settled(0, 0)))
    }
    SpeakerSession.clip({ audio: wav(1) }).then(async (clip) => {
      const session = new SpeakerSession(${memory})
      const { durationMs } = await session.playAudio({ audio: clip, durationMs: 20 })
      console.log(durationMs)
      clip.close()
      if (!isMainThread) {
        await SpeakerSession.clip({ audio: wav(1) })
        SpeakerSession.clip({ audio: wav(30) })
        process.exit()
      }
    })
  `)
  assert.deepEqual([code, out.split('\n').sort(), err], [0, ['', '20', '20', 'after the worker [ 0, 0 ]'], ''])
})

test('many requests of one Buffer share one copy', async (t) => {
  const { code, out, err } = await run(t, `${SETTLED}
    ;(async () => {
      const session = new SpeakerSession({ output: { type: 'memory', clock: 'manual' }, overlap: 'queue', maxQueued: 100000 })
      const audio = wav(1)
      const before = process.memoryUsage().rss
      for (let n = 0; n < 10000; n++) session.playAudio({ audio, stopOther: false })
      const grown = (process.memoryUsage().rss - before) / 2 ** 20
      // A copy per request would be 916 MiB.
      console.log(grown < 300 ? 'one copy' : grown + ' MiB')
      // The next one is another sound in the same Buffer.
      await session.stopAudio()
      await session.advance(20)
      session.playAudio({ audio, stopOther: false, requestId: 'first' })
      audio.fill(0, 44)
      session.playAudio({ audio, stopOther: false, requestId: 'second' })
      await session.advance(2000)
      const { samples } = session.recording()
      const from = samples.length - 96000
      console.log(samples[from + 1000] !== 0, samples[from + 49000] === 0)
      await session.close()
    })()
  `)
  assert.deepEqual([code, out, err], [0, 'one copy\ntrue true\n', ''])
})
