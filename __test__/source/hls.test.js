'use strict'

// Playlists: alternative addresses of one sound (M3U, PLS), and the segments of one (HLS), on demand and live, in every segment format.

const assert = require('node:assert/strict')
const { createCipheriv } = require('node:crypto')
const { readFileSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { serve } = require('../support/server')
const { open, finish } = require('../support/session')
const { compare } = require('../support/sounds')

const FOLDER = path.join(__dirname, '..', 'fixtures', 'hls')
const file = (name) => readFileSync(path.join(FOLDER, name))
const mp3 = readFileSync(path.join(__dirname, '..', 'fixtures', 'tone-cbr.mp3'))

/** The fixtures that make.sh encoded. */
const signal = Float32Array.from({ length: 3 * 48000 }, (_, n) => {
  const t = n / 48000
  return 0.5 * Math.sin(2 * Math.PI * t) ** 2 * Math.sin(2 * Math.PI * (200 * t + 400 * t * t))
})

/** The encoders' delays, in samples. */
const DELAY = { 'aac-%.ts': 1024, 'aac-%.aac': 1024, 'mp3-%.ts': 1105, 'mp3-%.mp3': 1105, 'aac-%.m4s': 1024, 'opus-%.m4s': 0 }

/** Returns a media playlist of all four segments of a kind. */
function playlist(kind, { head = '', before = () => '', end = '#EXT-X-ENDLIST\n' } = {}) {
  const segments = [0, 1, 2, 3].map((n) => `${before(n)}#EXTINF:${n < 3 ? 1 : 0.1},\n${kind.replace('%', n)}\n`)
  const map = kind.endsWith('m4s') ? `#EXT-X-MAP:URI="${kind.split('-')[0]}-init.mp4"\n` : ''
  return `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${head}${map}${segments.join('')}${end}`
}

/** A server of files by path: text, bytes, or a function that answers; of fixtures for other paths. Records the requests. */
async function site(t, files) {
  const asked = []
  const url = await serve(t, (request, response) => {
    const name = request.url.split('?')[0].slice(1)
    asked.push({ name, path: request.url, headers: request.headers })
    let body = files[name] ?? file(name.split('/').at(-1))
    if (typeof body === 'function') body = body(request, response)
    if (body === undefined) return
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')
    if (range && !files.ignoresRanges) {
      const [from, to] = [Number(range[1]), Number(range[2])]
      response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${body.length}` })
      return response.end(body.subarray(from, to + 1))
    }
    response.end(body)
  })
  return { url: (name) => new URL(name, url).href, asked, names: () => asked.map(({ name }) => name) }
}

async function hear(t, request, options) {
  const { session, heard, told } = open(t, options)
  const playing = session.playAudio(request).catch((error) => error)
  await finish(session)
  return { result: await playing, samples: heard(), told }
}

function assertHeard({ result, samples }, kind) {
  assert.equal(result.outcome, 'completed', result.message)
  const { late, alike, louder } = compare(samples.slice(0, Math.round(result.durationMs * 48)), signal)
  const facts = `${kind}: ${late} late, ${alike} alike, ${louder} as loud, ${result.durationMs} ms`
  assert.ok(Math.abs(late - DELAY[kind]) <= 2 && alike > 0.99 && Math.abs(louder - 1) < 0.03, facts)
  assert.ok(result.durationMs >= 3000 && result.durationMs < 3120, facts)
}

for (const kind of Object.keys(DELAY)) {
  test(`plays a stream of ${kind} segments as one sound`, async (t) => {
    const { url } = await site(t, { 'list.m3u8': playlist(kind) })
    assertHeard(await hear(t, { audioUrl: url('list.m3u8') }), kind)
  })
}

test('segments may begin with tags, as packed audio does', async (t) => {
  // ID3v2 with a PRIV frame (RFC 8216 §3.4).
  const priv = Buffer.from('com.apple.streaming.transportStreamTimestamp\0\0\0\0\0\0\0\x01\x5f', 'latin1')
  const size = (n) => [n >> 21, n >> 14, n >> 7, n].map((byte) => byte & 127)
  const frame = Buffer.concat([Buffer.from('PRIV'), Buffer.from([...size(priv.length), 0, 0]), priv])
  const tag = Buffer.concat([Buffer.from('ID3'), Buffer.from([4, 0, 0, ...size(frame.length)]), frame])
  for (const kind of ['aac-%.aac', 'mp3-%.mp3']) {
    const tagged = [0, 1, 2, 3].map((n) => [kind.replace('%', n), Buffer.concat([tag, file(kind.replace('%', n))])])
    const { url } = await site(t, { list: playlist(kind), ...Object.fromEntries(tagged) })
    assertHeard(await hear(t, { audioUrl: url('list') }), kind)
  }
})

test('plays the best audio-only variant or a separate rendition', async (t) => {
  const files = {
    'master.m3u8': '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",DEFAULT=YES,URI="sound/list.m3u8"\n' +
      '#EXT-X-STREAM-INF:BANDWIDTH=500000,RESOLUTION=640x360,CODECS="avc1.4d401e,mp4a.40.2",AUDIO="a"\nfilm.m3u8\n',
    'sound/list.m3u8': playlist('aac-%.ts')
  }
  const { url, names } = await site(t, files)
  assertHeard(await hear(t, { audioUrl: url('master.m3u8') }), 'aac-%.ts')
  assert.deepEqual(names(), ['master.m3u8', 'sound/list.m3u8', ...[0, 1, 2, 3].map((n) => `sound/aac-${n}.ts`)])
})

test('decrypts segments, each with its key', async (t) => {
  const keys = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
  const iv = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
  const numbered = (n) => Buffer.from(n.toString(16).padStart(32, '0'), 'hex')
  const seal = (bytes, key, vector) => {
    const cipher = createCipheriv('aes-128-cbc', key, vector)
    return Buffer.concat([cipher.update(bytes), cipher.final()])
  }
  const files = {
    // The first plain, the second with an initialization vector, the third by its number.
    list: playlist('aac-%.ts', {
      head: '#EXT-X-MEDIA-SEQUENCE:70\n',
      before: (n) => ['', `#EXT-X-KEY:METHOD=AES-128,URI="key0",IV=0x${iv.toString('hex')}\n`, '#EXT-X-KEY:METHOD=AES-128,URI="/key1"\n', ''][n]
    }),
    key0: keys[0],
    key1: keys[1],
    'aac-1.ts': seal(file('aac-1.ts'), keys[0], iv),
    'aac-2.ts': seal(file('aac-2.ts'), keys[1], numbered(72)),
    'aac-3.ts': seal(file('aac-3.ts'), keys[1], numbered(73))
  }
  const { url, names } = await site(t, files)
  assertHeard(await hear(t, { audioUrl: url('list') }), 'aac-%.ts')
  assert.equal(names().filter((name) => name === 'key1').length, 1, 'it is kept')

  for (const [key, code] of [[Buffer.alloc(15), 'ERR_UNSUPPORTED_FORMAT'], [Buffer.alloc(17), 'ERR_UNSUPPORTED_FORMAT'], [keys[0], 'ERR_DECODE']]) {
    const { url } = await site(t, { ...files, key1: key })
    const { result } = await hear(t, { audioUrl: url('list') })
    assert.equal(result.code, code)
    assert.ok(result.durationMs > 1800, 'what came before is heard')
  }
  const locked = await site(t, { list: playlist('aac-%.ts', { before: (n) => (n === 0 ? '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://a"\n' : '') }) })
  const { result } = await hear(t, { audioUrl: locked.url('list') })
  assert.equal(result.code, 'ERR_UNSUPPORTED_FORMAT')
  assert.match(result.message, /AES-128 for audioUrl but received SAMPLE-AES/)
})

test('plays byte-range segments with and without range support', async (t) => {
  const parts = [0, 1, 2, 3].map((n) => file(`aac-${n}.m4s`))
  const whole = Buffer.concat([file('aac-init.mp4'), ...parts])
  let from = file('aac-init.mp4').length
  let list = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="whole",BYTERANGE="${from}@0"\n`
  for (const [n, part] of parts.entries()) {
    list += `#EXTINF:1,\n#EXT-X-BYTERANGE:${part.length}${n === 2 ? '' : `@${from}`}\nwhole\n`
    from += part.length
  }
  for (const ignoresRanges of [false, true]) {
    const { url } = await site(t, { list: `${list}#EXT-X-ENDLIST\n`, whole, ignoresRanges })
    assertHeard(await hear(t, { audioUrl: url('list') }), 'aac-%.m4s')
  }
  const { url } = await site(t, { list: list.replace(/BYTERANGE:\d+\nwhole/, 'BYTERANGE:999999\nwhole') + '#EXT-X-ENDLIST\n', whole, ignoresRanges: true })
  const short = await hear(t, { audioUrl: url('list') })
  assert.equal(short.result.code, 'ERR_TRUNCATED', short.result.outcome)
})

test('resumes a broken byte-range segment', async (t) => {
  const parts = [0, 1, 2, 3].map((n) => file(`aac-${n}.m4s`))
  const whole = Buffer.concat([file('aac-init.mp4'), ...parts])
  let from = file('aac-init.mp4').length
  let list = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="whole",BYTERANGE="${from}@0"\n`
  const starts = parts.map((part) => {
    list += `#EXTINF:1,\n#EXT-X-BYTERANGE:${part.length}@${from}\nwhole\n`
    from += part.length
    return from - part.length
  })
  for (const etag of [undefined, '"1"']) {
    const ranges = []
    const { url } = await site(t, {
      list: `${list}#EXT-X-ENDLIST\n`,
      whole(request, response) {
        const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range).map(Number)
        ranges.push([first, last, request.headers['if-range']])
        const headers = { 'content-range': `bytes ${first}-${last}/${whole.length}`, 'content-length': last + 1 - first }
        response.writeHead(206, etag ? { ...headers, etag } : headers)
        const isBroken = first === starts[1] && ranges.filter(([other]) => other === first).length === 1
        if (!isBroken) return void response.end(whole.subarray(first, last + 1))
        response.write(whole.subarray(first, first + 5000), () => response.destroy())
      }
    })
    assertHeard(await hear(t, { audioUrl: url('list') }), 'aac-%.m4s')
    const [first, last, ifRange] = ranges[3]
    // Without a validator the last bytes are requested again.
    assert.ok(first > starts[1] - (etag ? 0 : 1) && first <= starts[1] + 5000, `${first}`)
    assert.deepEqual([last, ifRange], [starts[1] + parts[1].length - 1, etag])
  }
})

test('EXT-X-START applies unless startMs is given', async (t) => {
  const say = (offset) => playlist('mp3-%.mp3', { head: `#EXT-X-START:TIME-OFFSET=${offset}\n` })
  const files = { ahead: say(1.5), behind: say(-1.2), master: '#EXTM3U\n#EXT-X-START:TIME-OFFSET=2\n#EXT-X-STREAM-INF:BANDWIDTH=1\nplain\n', plain: playlist('mp3-%.mp3') }
  for (const [name, first] of [['ahead', 1], ['behind', 1], ['master', 2]]) {
    const { url, names } = await site(t, files)
    const { result } = await hear(t, { audioUrl: url(name) })
    assert.equal(result.outcome, 'completed', result.message)
    const fetched = names().filter((name) => name.endsWith('mp3'))
    assert.deepEqual(fetched, [0, 1, 2, 3].slice(first).map((n) => `mp3-${n}.mp3`), name)
  }
  const { url, names } = await site(t, files)
  const { result } = await hear(t, { audioUrl: url('ahead'), startMs: 500 })
  assert.equal(names()[1], 'mp3-0.mp3', 'it is counted from the start')
  assert.ok(Math.abs(result.durationMs - 2600) < 120, `${result.durationMs} ms`)
})

test('substitutes variables from playlist, parent and URL', async (t) => {
  const files = {
    master: '#EXTM3U\n#EXT-X-DEFINE:NAME="folder",VALUE="sound"\n#EXT-X-DEFINE:QUERYPARAM="key"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{$folder}/list?key={$key}\n',
    'sound/list': playlist('aac-%.ts?key={$key}', { head: '#EXT-X-DEFINE:IMPORT="key"\n' })
  }
  const { url, asked } = await site(t, files)
  assertHeard(await hear(t, { audioUrl: url('master?key=a1') }), 'aac-%.ts')
  assert.deepEqual(asked.map(({ path }) => path), ['/master?key=a1', '/sound/list?key=a1', ...[0, 1, 2, 3].map((n) => `/sound/aac-${n}.ts?key=a1`)])
  const wrong = await site(t, { ...files, 'sound/list': playlist('aac-%.ts?key={$other}', { head: '#EXT-X-DEFINE:IMPORT="key"\n' }) })
  assert.equal((await hear(t, { audioUrl: wrong.url('master?key=a1') })).result.code, 'ERR_UNSUPPORTED_FORMAT')
  const none = await site(t, files)
  assert.equal((await hear(t, { audioUrl: none.url('master') })).result.code, 'ERR_UNSUPPORTED_FORMAT')
})

/** Returns a live playlist of three segments that moves on with each request and ends after `count` of them. */
function live(count, { titles = false } = {}) {
  let edge = 3
  return () => {
    const numbers = Array.from({ length: Math.min(3, edge) }, (_, n) => edge - Math.min(3, edge) + n)
    const segments = numbers.map((n) => `#EXTINF:1,${titles ? `Song ${n >> 1}, of many` : ''}\ns/${n}\n`)
    const text = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:${numbers[0]}\n${segments.join('')}${edge === count ? '#EXT-X-ENDLIST\n' : ''}`
    edge = Math.min(edge + 1, count)
    return text
  }
}

const liveFiles = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`s/${n}`, file(`mp3-${n % 3}.mp3`)]))

test('follows a live stream in order, with its titles', async (t) => {
  const { url, names } = await site(t, { ...liveFiles(7), 'live.m3u8': live(7, { titles: true }) })
  const { result, told } = await hear(t, { audioUrl: url('live.m3u8') })
  assert.equal(result.outcome, 'completed', result.message)
  assert.deepEqual(names().filter((name) => name.startsWith('s/')), [0, 1, 2, 3, 4, 5, 6].map((n) => `s/${n}`))
  assert.ok(Math.abs(result.durationMs - 7000) < 150, `${result.durationMs}`)
  const titles = told.filter(({ type }) => type === 'metadata')
  assert.deepEqual(titles.map(({ title }) => title), [0, 1, 2, 3].map((n) => `Song ${n}, of many`))
  for (const [n, { atMs }] of titles.entries()) assert.ok(Math.abs(atMs - n * 2000) < 200, `${n}: ${atMs}`)
})

test('a live stream survives a missing segment and playlist', async (t) => {
  let failures = 0
  const list = live(6)
  const { url, names } = await site(t, {
    ...liveFiles(6),
    's/3': (_, response) => void response.writeHead(404).end(),
    'live.m3u8': (_, response) => {
      if (names().filter((name) => name === 'live.m3u8').length === 2 && failures++ === 0) return void response.writeHead(404).end()
      return list()
    }
  })
  const { result } = await hear(t, { audioUrl: url('live.m3u8') })
  assert.equal(result.outcome, 'completed', result.message)
  assert.equal(failures, 1)
  assert.ok(Math.abs(result.durationMs - 5000) < 200, `${result.durationMs}`)
})

test('a live stream without new segments ends', async (t) => {
  const { url } = await site(t, { ...liveFiles(3), live: playlist('mp3-%.mp3', { end: '' }) })
  const { result } = await hear(t, { audioUrl: url('live') }, { fetchTimeoutMs: 500 })
  assert.equal(result.code, 'ERR_FETCH_TIMEOUT', result.outcome)
  assert.match(result.message, /another segment within 3000 ms/)
  assert.ok(result.durationMs > 2900)
})

test('a missing on-demand segment is an error', async (t) => {
  const { url } = await site(t, { list: playlist('aac-%.ts'), 'aac-2.ts': (_, response) => void response.writeHead(404).end() })
  const { result } = await hear(t, { audioUrl: url('list') })
  assert.equal(result.code, 'ERR_HTTP_STATUS')
  assert.ok(result.durationMs > 1800, `${result.durationMs}`)
})

test('network covers every address, headers only their own server', async (t) => {
  const other = await site(t, {})
  const elsewhere = other.url('').replace('127.0.0.1', '127.0.0.2')
  for (const [list, code] of [
    [playlist('aac-%.ts').replace('aac-2.ts', `${elsewhere}aac-2.ts`), 'ERR_URL_BLOCKED'],
    [playlist('aac-%.ts', { before: (n) => (n === 1 ? `#EXT-X-KEY:METHOD=AES-128,URI="${elsewhere}key"\n` : '') }), 'ERR_URL_BLOCKED'],
    [`#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n${elsewhere}list\n`, 'ERR_URL_BLOCKED'],
    [`#EXTM3U\n${elsewhere}tone.mp3\n`, 'ERR_URL_BLOCKED'],
    [playlist('aac-%.ts').replace('aac-0.ts', 'file:///etc/passwd'), 'ERR_FETCH_FAILED']
  ]) {
    const { url } = await site(t, { list })
    const { result } = await hear(t, { audioUrl: url('list') }, { network: { allow: ['127.0.0.1'] } })
    assert.equal(result.code, code, `${list}: ${result.message}`)
    assert.match(result.message, code === 'ERR_URL_BLOCKED' ? /received 127\.0\.0\.2:\d+: it is a loopback address/ : /http\(s\) addresses in the playlist/)
  }
  assert.deepEqual(other.names(), [])
  const { url, asked } = await site(t, { list: playlist('aac-%.ts').replace('aac-2.ts', `${other.url('')}aac-2.ts`) })
  assertHeard(await hear(t, { audioUrl: url('list'), headers: { authorization: 'Bearer hush' } }), 'aac-%.ts')
  assert.deepEqual(asked.map(({ headers }) => headers.authorization), Array(4).fill('Bearer hush'))
  assert.deepEqual(other.asked.map(({ headers }) => headers.authorization), [undefined])
})

test('plays the first address of a list that answers', async (t) => {
  const gone = (_, response) => void response.writeHead(404).end()
  for (const list of [
    '#EXTM3U\n#EXTINF:-1,A station\ngone\ntone.mp3?second\n',
    '[playlist]\nFile2=tone.mp3\nFile1=gone\nTitle1=A, b\n',
    'inner.m3u\n'
  ]) {
    const files = { 'list.m3u': list, 'inner.m3u': '#EXTM3U\ngone\ntone.mp3\n', gone, 'tone.mp3': mp3 }
    const { url, names } = await site(t, files)
    const { result, samples } = await hear(t, { audioUrl: url('list.m3u') })
    assert.equal(result.outcome, 'completed', result.message)
    assert.deepEqual(samples, (await hear(t, { audio: mp3 })).samples)
    assert.deepEqual(names().slice(-2), ['gone', 'tone.mp3'])
  }
  for (const [list, code] of [
    ['#EXTM3U\ngone\n', 'ERR_HTTP_STATUS'],
    ['#EXTM3U\n# nothing\n', 'ERR_UNSUPPORTED_FORMAT'],
    ['#EXTM3U\nlist.m3u\n', 'ERR_UNSUPPORTED_FORMAT'],
    [`#EXTM3U\n${'x\n'.repeat(600_000)}`, 'ERR_SOURCE_TOO_LARGE']
  ]) {
    const { url, names } = await site(t, { 'list.m3u': list, gone })
    const { result } = await hear(t, { audioUrl: url('list.m3u') })
    assert.equal(result.code, code, result.message)
    assert.ok(names().length <= 25, `${names().length} requests`)
  }
})

test('refuses a playlist from a file or memory', async (t) => {
  const name = path.join(os.tmpdir(), `list-${process.pid}.m3u8`)
  writeFileSync(name, playlist('aac-%.ts'))
  for (const request of [{ audioUrl: name }, { audio: Buffer.from('[playlist]\nFile1=a.mp3\n') }]) {
    const { result } = await hear(t, request)
    assert.equal(result.code, 'ERR_UNSUPPORTED_FORMAT')
    assert.match(result.message, /playlist/)
  }
})
