'use strict'

// Seeking in every state a playback can be in, at exact samples.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { crossed, ramp, slice } = require('../support/samples')
const { open, finish } = require('../support/session')

const MS = 48
const clip = ramp(500 * MS)
const play = (session, requestId, options) => session.playAudio({ requestId, audio: clip.audio, stopOther: false, ...options })

/** Returns the positions of the `sought` events of a playback. */
const places = (told) => told.filter(({ type }) => type === 'sought').map(({ atMs, positionMs }) => [atMs, positionMs])

test('seek lands on the exact sample, faded', async (t) => {
  const { session, heard, of, told } = open(t)
  const playing = play(session, 'a')
  await session.advance(107)
  assert.deepEqual(await session.seekAudio({ requestId: 'a', positionMs: 300 }), { sought: ['a'] })
  await session.advance(50)
  assert.equal(session.playbacks()[0].positionMs, 345)
  await session.seekAudio({ positionMs: 50 })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'sought@112', 'sought@162', 'completed@612'])
  assert.deepEqual(places(told), [[112, 300], [162, 50]])
  assert.deepEqual(await playing, { requestId: 'a', outcome: 'completed', durationMs: 612, positionMs: 500 })
  const samples = heard()
  assert.deepEqual(slice(samples, 0, 107), slice(clip.samples, 0, 107))
  crossed(samples, clip.samples, [107, 107], [112, 300])
  assert.deepEqual(slice(samples, 117, 157), slice(clip.samples, 305, 345))
  assert.deepEqual(slice(samples, 167, 612), slice(clip.samples, 55, 500))
})

test('seek is exact in every format', async (t) => {
  for (const name of ['tone-cbr.mp3', 'tone-id3.mp3', 'tone.flac', 'tone-vorbis.ogg', 'tone-opus.ogg', 'tone.m4a', 'tone.aac', 'tone-11025.wav']) {
    const file = path.join(__dirname, '..', 'fixtures', name)
    const whole = open(t)
    const once = whole.session.playAudio({ audio: readFileSync(file) })
    await finish(whole.session)
    const { durationMs } = await once
    for (const source of [{ audio: readFileSync(file) }, { audioUrl: file }]) {
      const { session, heard } = open(t)
      session.playAudio(source)
      await session.advance(50)
      await session.seekAudio({ positionMs: 300 })
      await finish(session)
      assert.deepEqual(slice(heard(), 60, durationMs - 245), slice(whole.heard(), 305, durationMs), name)
    }
  }
})

test('seek beyond the end completes', async (t) => {
  const { session, of, told } = open(t)
  const playing = play(session, 'a')
  await session.advance(100)
  await session.seekAudio({ positionMs: 86_400_000 })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'sought@105', 'completed@105'])
  assert.deepEqual(places(told), [[105, 500]])
  assert.deepEqual(await playing, { requestId: 'a', outcome: 'completed', durationMs: 105, positionMs: 500 })
})

test('seek beyond the end moves the queue up', async (t) => {
  const { session, of } = open(t, { overlap: 'queue' })
  play(session, 'a')
  play(session, 'b')
  await session.advance(100)
  await session.seekAudio({ requestId: 'a', positionMs: 500 })
  await finish(session)
  assert.deepEqual(of('b').slice(-2), ['started@105', 'completed@605'])
})

test('seek works in the last samples', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a')
  await session.advance(498)
  await session.seekAudio({ positionMs: 450 })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'sought@500', 'completed@550'])
  assert.deepEqual(slice(heard(), 505, 550), slice(clip.samples, 455, 500))
})

test('the second of two seeks wins', async (t) => {
  const { session, heard, told } = open(t)
  play(session, 'a')
  await session.advance(100)
  await session.seekAudio({ positionMs: 400 })
  await session.seekAudio({ positionMs: 200 })
  await session.advance(2)
  await session.seekAudio({ positionMs: 300 }) // while it fades out
  await finish(session)
  assert.deepEqual(places(told), [[105, 300]])
  assert.deepEqual(slice(heard(), 110, 305), slice(clip.samples, 305, 500))
})

test('seek before the start sets the start position', async (t) => {
  const { session, heard, of } = open(t, { overlap: 'queue' })
  for (const name of ['a', 'b', 'c']) play(session, name)
  assert.deepEqual(await session.seekAudio({ positionMs: 400 }), { sought: ['a', 'b', 'c'] })
  assert.deepEqual(session.playbacks().map(({ positionMs }) => positionMs), [400, 400, 400])
  await session.advance(20)
  await session.seekAudio({ requestId: 'c', positionMs: 0 })
  await finish(session)
  assert.deepEqual(of('a'), ['sought@0', 'started@0', 'completed@100'])
  assert.deepEqual(of('b').slice(-2), ['started@100', 'completed@200'])
  assert.deepEqual(of('c').filter((event) => !event.startsWith('queued')), [
    'sought@0', 'sought@20', 'started@200', 'completed@700'
  ])
  const samples = heard()
  assert.deepEqual(slice(samples, 5, 100), slice(clip.samples, 405, 500))
  assert.deepEqual(slice(samples, 105, 200), slice(clip.samples, 405, 500))
  assert.deepEqual(slice(samples, 200, 700), clip.samples)
})

test('seek while paused is silent', async (t) => {
  const { session, heard, of } = open(t)
  play(session, 'a')
  await session.advance(100)
  await session.pauseAudio()
  await session.advance(100)
  await session.seekAudio({ positionMs: 400 })
  await session.advance(100)
  assert.deepEqual(session.playbacks().map(({ state, positionMs }) => [state, positionMs]), [['paused', 400]])
  await session.resumeAudio()
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'paused@105', 'sought@200', 'resumed@300', 'completed@400'])
  assert.ok(slice(heard(), 105, 300).every((sample) => sample === 0))
  assert.deepEqual(slice(heard(), 305, 400), slice(clip.samples, 405, 500))
})

test('pause and seek together apply both', async (t) => {
  for (const calls of [['pauseAudio', 'seekAudio'], ['seekAudio', 'pauseAudio']]) {
    const { session, of, told } = open(t)
    play(session, 'a')
    await session.advance(100)
    for (const call of calls) await session[call](call === 'seekAudio' ? { positionMs: 300 } : {})
    await session.advance(100)
    assert.deepEqual(told.slice(-2).map(({ type, atMs, positionMs }) => [type, atMs, positionMs]), [
      ['sought', 105, 300], ['paused', 105, 300]
    ])
    await session.resumeAudio()
    await finish(session)
    assert.deepEqual(of('a').slice(-2), ['resumed@200', 'completed@400'])
  }
})

test('stop cancels a seek', async (t) => {
  const { session, of } = open(t)
  play(session, 'a')
  await session.advance(100)
  await session.seekAudio({ positionMs: 400 })
  await session.stopAudio({ fadeOutMs: 50 })
  assert.deepEqual(await session.seekAudio({ positionMs: 400 }), { sought: [] })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'stopped@150'])

  play(session, 'b')
  await session.advance(100)
  await session.seekAudio({ positionMs: 400 })
  await session.advance(2)
  await session.stopAudio({ fadeOutMs: 50 })
  await finish(session)
  assert.deepEqual(of('b'), ['started@160', 'stopped@265'], 'it was falling silent already')
})

test('simultaneous calls ignore loading speed', async (t) => {
  const run = async () => {
    const { session, heard, told } = open(t)
    play(session, 'a')
    await session.advance(100)
    await session.pauseAudio()
    await session.advance(100)
    await session.seekAudio({ positionMs: 100 })
    await session.seekAudio({ positionMs: 400 })
    await session.resumeAudio()
    await finish(session)
    assert.deepEqual(places(told), [[200, 400]])
    return { told, samples: heard() }
  }
  const first = await run()
  assert.deepEqual(slice(first.samples, 205, 300), slice(clip.samples, 405, 500))
  for (let n = 0; n < 20; n++) assert.deepEqual(await run(), first)
})

test('seek in a loop stays in its pass', async (t) => {
  const { session, heard, told } = open(t, { progressIntervalMs: 100 })
  const short = ramp(100 * MS)
  const playing = session.playAudio({ audio: short.audio, loop: 3 })
  await session.advance(145) // in the second pass
  await session.seekAudio({ positionMs: 80 })
  await finish(session)
  assert.deepEqual(await playing.then(({ durationMs, positionMs }) => [durationMs, positionMs]), [270, 100])
  assert.deepEqual(slice(heard(), 155, 170), slice(short.samples, 85, 100))
  assert.deepEqual(slice(heard(), 170, 270), short.samples, 'the third pass is whole')
  const progress = told.filter(({ type }) => type === 'progress').map(({ atMs, positionMs }) => [atMs, positionMs])
  assert.deepEqual(progress, [[100, 0], [200, 30]])
})

test('seek keeps the end of a section', async (t) => {
  const { session, heard } = open(t)
  const playing = play(session, 'a', { startMs: 100, durationMs: 200 })
  await session.advance(20)
  await session.seekAudio({ positionMs: 50 })
  await session.advance(20)
  await session.seekAudio({ positionMs: 250 })
  await finish(session)
  assert.deepEqual(await playing.then(({ durationMs, positionMs }) => [durationMs, positionMs]), [95, 300])
  assert.deepEqual(slice(heard(), 50, 90), slice(clip.samples, 255, 295))
})

test('realtime: seek works while playing and paused', async (t) => {
  const { session } = open(t, { output: { clock: 'realtime' } })
  const playing = play(session, 'a')
  await once(session, 'started')
  await session.seekAudio({ positionMs: 300 })
  const [{ positionMs }] = await once(session, 'sought')
  assert.equal(positionMs, 300)
  await session.pauseAudio()
  await once(session, 'paused')
  await session.seekAudio({ positionMs: 450 })
  assert.equal((await once(session, 'sought'))[0].positionMs, 450)
  await session.resumeAudio()
  assert.equal((await playing).positionMs, 500)
})

test('seek without a match resolves empty', async (t) => {
  const { session } = open(t)
  assert.deepEqual(await session.seekAudio({ requestId: 'nobody', positionMs: 1 }), { sought: [] })
  for (const [request, message] of [
    [undefined, /an object for seekAudio but received undefined/],
    [{}, /^Expected a number from 0 to 86400000 for positionMs but received undefined/],
    [{ positionMs: -1 }, /for positionMs but received -1/],
    [{ positionMs: 1, trackId: 0, requestId: 'a' }, /only one of requestId, trackId and group for seekAudio/]
  ]) {
    await assert.rejects(session.seekAudio(request), { code: 'ERR_INVALID_ARGUMENT', message })
  }
})

test('seek near a crossfade moves the crossfade', async (t) => {
  const { session, of } = open(t, { overlap: 'queue', crossfadeMs: 100 })
  play(session, 'a')
  await session.advance(450)
  assert.deepEqual(await session.seekAudio({ positionMs: 350 }), { sought: ['a'] })
  play(session, 'b')
  await session.advance(120) // from 350 at 455 to 465 at 570
  assert.deepEqual(await session.seekAudio({ requestId: 'a', positionMs: 0 }), { sought: [] })
  await finish(session)
  assert.deepEqual(of('a'), ['started@0', 'sought@455', 'completed@605'])
  assert.deepEqual(of('b').slice(-2), ['started@505', 'completed@1005'])
})
