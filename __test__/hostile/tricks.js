'use strict'

// The tricks, and their expected ends. Each is a body from one source (`file`, `http`) or a path of the server (`server`), with the error
// code or the outcome; `'stopped'` plays until the runner stops it. `short`: also in the short form. `holds`: MiB that a copy may use,
// instead of a little more than a spool keeps in memory. `size`: MiB of the file, for an endless body. `more`: fields of the request;
// `options`: options of the session.

const MP4 = ['moov', 'mdat', 'free'].flatMap((kind) => ['0', '1-0', '1-7', '1-63', '1-64', '31', '7'].map((size) => `mp4-${kind}-${size}`))
const NONE = 'ERR_UNSUPPORTED_FORMAT'
const BAD = 'ERR_DECODE'
const CUT = 'ERR_TRUNCATED'
const quick = { fetchTimeoutMs: 700 }

const tricks = [
  // Files and buffers.
  { what: 'MP3 and 4 GiB of zeros', file: 'mp3-zeros', size: 4096, expected: BAD, short: true },
  { what: 'MP3 and zeros without end', http: 'mp3-zeros', expected: BAD, short: true },
  { what: 'MP3 and noise without end', http: 'mp3-noise', expected: BAD, short: true },
  { what: 'MP3 and 1 GiB of noise', file: 'mp3-noise', size: 1024, expected: BAD },
  { what: 'noise without end', http: 'noise', expected: NONE },
  { what: 'MP3 without end', http: 'mp3-endless', expected: 'stopped', short: true },
  { what: 'WAV without end', http: 'wav-endless', expected: 'stopped' },
  { what: 'Ogg without end', http: 'ogg-endless', expected: 'stopped' },
  { what: 'FLAC without end', http: 'flac-endless', expected: 'stopped' },
  { what: 'ID3v2 of 256 MiB, then MP3', file: 'id3-256m', expected: 'completed' },
  // A body without a length may be longer, if it has sound before.
  { what: 'ID3v2 of 256 MiB', http: 'id3-256m', expected: 'ERR_SOURCE_TOO_LARGE', short: true },
  { what: 'a million ID3v2 tags', file: 'id3-chain', expected: 'completed', short: true },
  { what: 'a million ID3v2 tags', http: 'id3-chain', expected: 'completed' },
  { what: '20,000 chapters in chapters', file: 'id3-chapters', expected: 'completed' },
  { what: 'beginnings of Lyrics3 without end', file: 'lyrics', size: 16, expected: NONE, short: true },
  { what: 'beginnings of Lyrics3 without end', http: 'lyrics', expected: NONE },
  { what: 'FLAC metadata without end', http: 'flac-metadata', expected: BAD },
  { what: 'FLAC metadata, 1 GiB', file: 'flac-metadata', size: 1024, expected: BAD },
  { what: 'a hundred FLAC pictures of 16 MiB', file: 'flac-pictures', expected: BAD, short: true },
  { what: 'the slowest FLAC', file: 'flac-chorus', expected: 'stopped', short: true },
  { what: 'the slowest FLAC, skipped', file: 'flac-chorus', expected: 'completed', more: { startMs: 86_400_000 } },
  { what: 'the shortest FLAC, skipped', file: 'flac-constant', expected: 'stopped', more: { startMs: 86_400_000 }, short: true },
  { what: 'FLAC frame heads without end', file: 'flac-heads', size: 256, expected: BAD, short: true },
  { what: 'FLAC frame heads without end', http: 'flac-heads', expected: BAD },
  { what: 'FLAC frame heads far apart', file: 'flac-far-heads', size: 256, expected: BAD, short: true },
  { what: 'a little FLAC between heads', file: 'flac-sound-and-heads', size: 256, expected: BAD, short: true },
  { what: 'a million beginnings of Ogg', file: 'ogg-beginnings', expected: NONE, short: true },
  { what: 'an Ogg comment of 16 MiB', file: 'ogg-comment', expected: 'completed', holds: 64 },
  { what: 'wrong Ogg pages without end', http: 'ogg-wrong', expected: BAD },
  { what: 'wrong Ogg pages, 1 GiB', file: 'ogg-wrong', size: 1024, expected: BAD },
  { what: 'Ogg page heads without end', file: 'ogg-heads', size: 256, expected: BAD, short: true },
  { what: '256 of the largest codebooks', file: 'ogg-codebooks', expected: NONE, short: true },
  { what: 'Opus of 2.5 ms a packet', http: 'opus-tiny', expected: 'stopped', short: true },
  { what: 'MP4 boxes 100,000 deep', file: 'mp4-deep', expected: NONE },
  { what: 'equal MP4 boxes 100,000 deep', file: 'mp4-same-deep', expected: NONE, short: true },
  { what: 'empty MP4 boxes without end', http: 'mp4-free', expected: NONE },
  { what: 'empty MP4 boxes, 256 MiB', file: 'mp4-free', size: 256, expected: NONE, short: true },
  { what: 'MP4 of 2^32 samples', file: 'mp4-many-samples', expected: NONE, short: true },
  { what: 'MP4 of 2^32 even samples', file: 'mp4-many-even-samples', expected: 'any' },
  { what: 'MP4 of 2^32 times', file: 'mp4-many-times', expected: 'any' },
  { what: 'MP4 of long times', file: 'mp4-long-times', expected: 'any' },
  { what: 'MP4 of large chunks', file: 'mp4-many-chunks', expected: 'any' },
  { what: 'an MP4 sample of 4 GiB', file: 'mp4-big-sample', expected: 'any', short: true },
  { what: 'MP4 samples of 4 GiB', file: 'mp4-big-even-sample', expected: 'any' },
  { what: 'an MP4 index of 100 MiB', file: 'mp4-big-index', expected: NONE, holds: 128, short: true },
  { what: 'an MP4 index of 100 MiB', http: 'mp4-big-index', expected: NONE, holds: 128 },
  { what: 'an MP4 index, 100 MiB of it free', file: 'mp4-big-free', expected: NONE },
  ...MP4.map((file) => ({ what: file, file, expected: 'any' })),
  { what: 'WAV of length 0', file: 'wav-length-0', expected: 'completed' },
  { what: 'WAV of length 2^32 − 1', file: 'wav-length-31', expected: 'completed' },
  { what: 'WAV of 256 MiB that ends', file: 'wav-length-more', expected: CUT },
  ...['channels-65535', 'channels-0', 'align-0', 'align-65535', 'rate-0', 'rate-1', 'rate-31', 'bits-0', 'bits-255', 'bits-65535',
    'ima', 'ima-0', 'ima-1', 'ima-255', 'ms', 'ms-0', 'extensible'].map((name) => ({ what: `WAV, ${name}`, file: `wav-${name}`, expected: 'any' })),
  { what: 'WAV of 26 channels', file: 'wav-channels-26', expected: 'completed' },
  { what: 'WAV of 32,767 channels without end', http: 'wav-wide', expected: NONE, short: true },
  { what: 'WAV of NaN', file: 'wav-nan', expected: 'completed', more: { gain: 16 } },
  { what: 'WAV of 1e38', file: 'wav-1e38', expected: 'completed', more: { gain: 16 } },
  // Without any sound.
  { what: 'WAV chunks without end', http: 'wav-chunks', expected: 'ERR_SOURCE_TOO_LARGE' },
  // Until startTimeoutMs.
  { what: 'a day of a WAV without end skipped', http: 'wav-slow', expected: 'stopped', more: { startMs: 86_400_000 } },
  { what: 'AIFF of 65,535 channels', file: 'aiff-channels-65535', expected: NONE, short: true },
  ...['channels-0', 'frames', 'bits-65535', 'bits-0', 'rate-0', 'rate-infinite', 'rate-negative']
    .map((name) => ({ what: `AIFF, ${name}`, file: `aiff-${name}`, expected: 'any' })),

  // Servers.
  { what: 'a gzip bomb that nobody asked for', server: '/zip', expected: NONE, short: true },
  { what: 'redirects in circles', server: '/redirect', expected: 'ERR_TOO_MANY_REDIRECTS' },
  { what: 'a redirect to a file', server: '/redirect-file', expected: 'ERR_FETCH_FAILED', short: true },
  { what: 'a redirect to nowhere', server: '/redirect-nowhere', expected: 'ERR_HTTP_STATUS' },
  { what: 'no answer', server: '/nothing', expected: 'ERR_FETCH_TIMEOUT', options: quick, short: true },
  { what: 'headers without end, slowly', server: '/headers-slow', expected: 'ERR_FETCH_TIMEOUT', options: quick, short: true },
  { what: 'headers without end', server: '/headers-fast', expected: 'ERR_FETCH_FAILED', short: true },
  { what: 'one header without end', server: '/header-long', expected: 'ERR_FETCH_FAILED' },
  { what: 'early hints without end', server: '/hints', expected: 'ERR_FETCH_TIMEOUT', options: quick, short: true },
  { what: '200 and nothing', server: '/status-only', expected: 'ERR_FETCH_TIMEOUT', options: quick },
  { what: 'a byte each 100 ms', server: '/drip', expected: 'ERR_FETCH_TIMEOUT', options: quick, short: true },
  { what: 'a byte each 100 ms, and any speed will do', server: '/drip', expected: 'ERR_START_TIMEOUT', options: { minFetchBytesPerSecond: 0, startTimeoutMs: 700 } },
  { what: 'closed in the middle', server: '/close', expected: CUT },
  { what: 'closed within chunks', server: '/close-chunked', expected: CUT, short: true },
  { what: 'reset', server: '/reset', expected: 'ERR_FETCH_FAILED' },
  { what: 'reset in the middle', server: '/reset-within', expected: CUT, short: true },
  { what: 'more than Content-Length', server: '/more', expected: 'completed' },
  { what: 'a negative Content-Length', server: '/length-wrong', expected: 'ERR_FETCH_FAILED' },
  { what: 'Content-Length 2^64 − 1', server: '/length-huge', expected: 'any' },
  { what: 'a chunk of 2^60', server: '/chunk-huge', expected: 'stopped' },
  { what: 'a byte a chunk', server: '/chunk-tiny', expected: 'completed' },
  { what: 'chunks that are none', server: '/chunk-wrong', expected: CUT },
  { what: 'a remark on a chunk without end', server: '/chunk-comment', expected: CUT },
  { what: 'another Content-Type', server: '/type', expected: 'completed' },
  { what: 'a Content-Type of 5,000 letters', server: '/no-type', expected: 'completed' },
  { what: '204', server: '/204', expected: 'ERR_EMPTY_SOURCE' },
  { what: '206', server: '/206', expected: 'completed' },
  { what: '416', server: '/416', expected: 'ERR_HTTP_STATUS' },
  { what: '500 and a body without end', server: '/500', expected: 'ERR_HTTP_STATUS' },
  { what: 'no HTTP', server: '/junk', expected: 'ERR_FETCH_FAILED' },
  { what: '300 MB announced', server: '/long', expected: 'ERR_SOURCE_TOO_LARGE', short: true }
]

module.exports = { tricks }
