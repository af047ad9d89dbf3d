'use strict'

// Each option is in four places: the check, index.d.ts, docs/options.md, and the arguments of the addon. Its name, and for numbers the
// range and the default, are the same in all of them as far as the types and the page state them.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const ts = require('typescript')

const check = require('../../lib/check')
const { liveKitFromEnv } = require('../..')

const ROOT = path.join(__dirname, '..', '..')
const text = (name) => readFileSync(path.join(ROOT, name), 'utf8')
const source = ts.createSourceFile('index.d.ts', text('index.d.ts'), ts.ScriptTarget.ES2022, true)
const interfaces = new Map(source.statements.filter(ts.isInterfaceDeclaration).map((one) => [one.name.text, one]))

/** Returns the options that an interface declares, including inherited ones: `{ comment, type }` by name. */
function declared(name) {
  const one = interfaces.get(name)
  const inherited = (one.heritageClauses ?? []).flatMap(({ types }) => types).flatMap(({ expression, typeArguments = [] }) => {
    if (expression.text !== 'Pick') return [...declared(expression.text)]
    const [from, names] = typeArguments.map((argument) => argument.getText())
    return [...declared(from)].filter(([key]) => names.includes(`'${key}'`))
  })
  const own = one.members.filter(ts.isPropertySignature).map((member) => {
    const comment = (member.jsDoc ?? []).map(({ comment }) => ts.getTextOfJSDocComment(comment)).join(' ').replace(/\s+/g, ' ')
    return [member.name.text, { comment, type: member.type.getText() }]
  })
  return new Map([...inherited, ...own])
}

const MEMORY = { type: 'memory', clock: 'manual' }
const ROOM = { type: 'livekit', url: 'ws://localhost', token: 'x' }
const audio = Buffer.alloc(1)
const raw = { format: 'pcm16', sampleRate: 48000 }

/** The check of each interface's options; it returns the checked values. */
const CHECKS = {
  SessionOptions: (options) => check.sessionOptions({ output: MEMORY, ...options }),
  DuckOptions: (duck) => check.sessionOptions({ output: MEMORY, duck }).duck,
  LoudnessOptions: (loudness) => check.sessionOptions({ output: MEMORY, loudness }).loudness,
  ProcessOptions: (options) => check.processOptions(options),
  CacheOptions: (options) => check.cacheOptions(options),
  WavOutput: (output) => check.sessionOptions({ output: { type: 'wav', path: 'a.wav', ...output } }).output,
  PcmOutput: (output) => check.sessionOptions({ output: { type: 'pcm', onFrame() {}, ...output } }).output,
  MemoryOutput: (output) => check.sessionOptions({ output: { type: 'memory', ...output } }).output,
  StreamOutput: (output) => check.sessionOptions({ output: { type: 'stream', codec: 'opus', ...output } }).output,
  HttpOutput: (output) => check.sessionOptions({ output: { type: 'http', codec: 'opus', ...output } }).output,
  NoOutput: (output) => check.sessionOptions({ output: { type: 'none', ...output } }).output,
  LiveKitOutput: (output) => check.sessionOptions({ output: { ...ROOM, ...output } }).output,
  PlayRequest: (request) => check.playRequest(
    'stallTimeoutMs' in request || 'prebufferMs' in request ? { audio: [], ...request } : { audio, ...('sampleRate' in request && raw), ...request }
  ),
  StreamRequest: (request) => check.streamRequest({ ...raw, ...request }),
  PrebufferBounds: (prebufferMs) => check.streamRequest({ ...raw, prebufferMs }).encoding.prebufferMs,
  ClipSource: (source) => check.clipRequest({ audio, ...('sampleRate' in source && raw), ...source }),
  ProbeOptions: (options) => check.probeRequest({ audio }, options),
  Target: (target) => check.pauseRequest(target),
  StopTarget: (target) => check.stopRequest('ahead' in target ? { requestId: 'a', ...target } : target),
  SeekRequest: (request) => check.seekRequest({ positionMs: 0, ...request }),
  VolumeRequest: (request) => check.volumeRequest({ volume: 1, ...request }),
  MuteRequest: (request) => check.muteRequest({ trackId: 0, muted: true, ...request }),
  MoveRequest: (request) => check.moveRequest({ requestId: 'a', queuePosition: 1, ...request }),
  InterruptRequest: (request) => check.interruptRequest(request),
  DescribeOptions: (options) => check.describeOptions(options),
  HandOverOptions: (options) => check.handOverOptions(options),
  CloseOptions: (options) => check.closeOptions({ drain: true, ...options }),
  TrackVolume: (change) => check.trackVolume({ volume: 1, ...change }),
  TrackPan: (change) => check.trackPan({ pan: 0, ...change }),
  TapOptions: (options) => check.tapOptions(options, 1),
  ListenOptions: (options) => check.listenOptions({ identity: 'a', ...options }),
  DataOptions: (options) => check.dataRequest(audio, options),
  TextOptions: (options) => check.textRequest('a', options),
  RpcRequest: (request) => check.callRequest({ to: 'a', method: 'b', ...request })
}

/** Returns the known options, from the message that refuses an unknown one. */
function known(name) {
  try {
    CHECKS[name]({ 'no option of any': 1 })
  } catch ({ message }) {
    const names = /^Expected only (.*?) for the options of /.exec(message)
    assert.ok(names, `${name}: ${message}`)
    return names[1].split(', ')
  }
  return assert.fail(`${name} takes an unknown option`)
}

const number = (text) => Number(text.replace(/,/g, '').replace('−', '-'))

const NUMBER = '([-−]?\\d[\\d,]*(?:\\.\\d+)?)'
const RANGE = new RegExp(`(?:^|[ ;(])${NUMBER}(?:–| to )${NUMBER}`)
const DEFAULT = new RegExp(`[Dd]efault:? ${NUMBER}`)

/** Returns the range and the default that a comment states, as every comment of a number does. */
function stated(comment) {
  const range = comment.match(RANGE)
  const fallback = comment.match(DEFAULT)
  return { range: range && [number(range[1]), number(range[2])], fallback: fallback && number(fallback[1]) }
}

/** Options whose name in the addon differs. */
const HANDED = { loop: 'passes' }

function handed(name, key, value) {
  const checked = CHECKS[name](value === undefined ? {} : { [key]: value })
  const all = { ...checked, ...checked.frames, ...checked.encoding, ...checked.target, ...checked.server }
  const is = all[HANDED[key] ?? key]
  return key === 'prebufferMs' ? is.minMs : is
}

test('checks exactly the declared options', () => {
  for (const name of Object.keys(CHECKS)) assert.deepEqual(known(name).sort(), [...declared(name).keys()].sort(), name)
  const all = [...interfaces.keys()].filter((name) => /(Options|Request|Output|Target|Source|Rules)$/.test(name))
  const elsewhere = ['NetworkRules', 'TrackOverlap', 'OutputBase']
  assert.deepEqual(all.filter((name) => !CHECKS[name] && !elsewhere.includes(name)), [], 'none is left out')
})

test('numbers have the declared range and default', () => {
  let count = 0
  for (const name of Object.keys(CHECKS)) {
    for (const [key, { comment, type }] of declared(name)) {
      if (!/^number\b/.test(type) || /As (in|for) \{/.test(comment)) continue
      const { range, fallback } = stated(comment)
      if (!range) continue
      count++
      const [min, max] = range
      for (const value of [min, max]) {
        if (key === 'frameMs' || (key === 'minMs' && value === max)) continue // their range depends on others
        assert.doesNotThrow(() => CHECKS[name]({ [key]: value }), `${name}.${key} is ${value}: ${comment}`)
      }
      const refusal = { code: 'ERR_INVALID_ARGUMENT' }
      assert.throws(() => CHECKS[name]({ [key]: min - 1 }), refusal, `${name}.${key} is ${min - 1}: ${comment}`)
      if (key !== 'minMs') assert.throws(() => CHECKS[name]({ [key]: max + 1 }), refusal, `${name}.${key} is ${max + 1}: ${comment}`)
      if (fallback !== null) assert.equal(handed(name, key), fallback, `${name}.${key} is left out: ${comment}`)
    }
  }
  assert.ok(count > 50, `${count} numbers`)
})

test('the page lists every session option with its default', () => {
  const page = text('docs/options.md')
  const rows = new Map([...page.matchAll(/^\| `(\w+)` \| (.*?) \| /gm)].map(([, name, fallback]) => [name, fallback]))
  const wanted = [...declared('SessionOptions').keys(), ...declared('ProcessOptions').keys()]
  assert.deepEqual([...rows.keys()].sort(), [...new Set(wanted)].sort())
  const defaults = CHECKS.SessionOptions({})
  for (const [name, fallback] of rows) {
    const value = /^`'(\w+)'`$/.exec(fallback)?.[1] ?? (/^[\d,]+$/.test(fallback) ? number(fallback) : undefined)
    if (value !== undefined) assert.equal(defaults[name], value, `${name}: ${fallback}`)
  }
})

test('the addon accepts every checked option', () => {
  const native = ts.createSourceFile('native.d.ts', text('lib/native.d.ts'), ts.ScriptTarget.ES2022, true)
  const taken = new Map(native.statements.filter(ts.isInterfaceDeclaration).map((one) => [one.name.text, one.members.map(({ name }) => name.text)]))
  /** Names that only JavaScript uses. */
  const kept = { NativeOptions: ['logger', 'record', 'recordsSecrets', 'loudness', 'onDuplicate'], NativeOutput: ['server'], NativePlay: ['signal', 'context', 'encoding', 'audio'] }
  for (const [name, checked] of Object.entries({
    NativeOptions: CHECKS.SessionOptions({}), NativeOutput: CHECKS.WavOutput({}), NativePlay: CHECKS.PlayRequest({}), NativeMove: CHECKS.MoveRequest({})
  })) {
    const fields = taken.get(name)
    assert.ok(fields, `${name} is one of ${[...taken.keys()]}`)
    const lost = Object.keys(checked).filter((key) => !fields.includes(key) && !kept[name]?.includes(key))
    assert.deepEqual(lost, [], `${name} takes ${fields}`)
  }
  assert.equal(typeof liveKitFromEnv, 'function')
})
