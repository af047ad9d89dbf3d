'use strict'

// A span for each playback, with the OpenTelemetry API that the application has installed.

const { context, trace, SpanKind, SpanStatusCode } = require('@opentelemetry/api')

const { version } = require('../../package.json')

const NAME = 'speaker-session'

/** The longest part of a URL's path that is shown: a longer one may be a signature. */
const PATH_PART = 24

/** The events of a playback that are recorded with its position. */
const MOMENTS = ['stalled', 'paused', 'resumed', 'sought']

const traced = new WeakSet()

function traceSession(session, { tracer = trace.getTracer(NAME, version) } = {}) {
  if (traced.has(session)) return session
  traced.add(session)
  /** Live playbacks by requestId, in order: one that fades out and the next may have the same. */
  const live = new Map()

  /** Makes a request and starts its span, in the caller's context. Returns the result of the call. */
  function begin(kind, request, call) {
    const startTime = now()
    const span = tracer.startSpan(`speaker-session ${kind}`, { kind: SpanKind.INTERNAL, startTime, attributes: attributesOf(request) }, context.active())
    let answer
    try {
      answer = call()
    } catch (error) {
      refuse(span, error)
      throw error
    }
    // A stream has its promise; playAudio returns it.
    follow({ span, startTime, playing: answer.finished ?? answer })
    return answer
  }

  function follow(playback) {
    const { span, playing } = playback
    const { requestId } = playing
    if (requestId === undefined) {
      playing.catch((error) => refuse(span, error))
      return
    }
    const others = live.get(requestId) ?? []
    if (others.some((other) => other.playing === playing)) {
      // It joined a live playback (`onDuplicate: 'join'`), which has the span.
      others.find((other) => other.playing === playing).span.addEvent('joined')
      span.setAttribute('speaker_session.outcome', 'joined').end()
      return
    }
    live.set(requestId, [...others, playback])
    span.setAttribute('speaker_session.request_id', requestId)
    const end = () => {
      const left = live.get(requestId).filter((other) => other !== playback)
      if (left.length > 0) live.set(requestId, left)
      else live.delete(requestId)
      span.end()
    }
    playing.then(
      (result) => {
        setHeard(span, result)
        if (result.reason !== undefined) span.setAttribute('speaker_session.reason', result.reason)
        span.setAttribute('speaker_session.outcome', result.outcome)
        end()
      },
      (error) => {
        setHeard(span, error)
        span.setAttribute('speaker_session.outcome', 'failed')
        setError(span, error)
        end()
      }
    )
  }

  session.on('queued', ({ requestId, queuePosition }) => {
    next(requestId)?.span.addEvent('queued', { queue_position: queuePosition })
  })
  session.on('started', ({ requestId, trackId, latencyMs, firstByteMs }) => {
    const playback = next(requestId)
    if (!playback) return
    const { span, startTime } = playback
    playback.hasStarted = true
    span.setAttribute('speaker_session.track_id', trackId)
    if (firstByteMs !== undefined) span.addEvent('first byte', {}, startTime + firstByteMs)
    span.addEvent('first sample', {}, startTime + latencyMs)
  })
  for (const type of MOMENTS) {
    session.on(type, ({ requestId, positionMs }) => live.get(requestId)?.at(-1).span.addEvent(type, { position_ms: positionMs }))
  }

  session.on('metadata', ({ requestId, title, station }) => {
    const said = Object.fromEntries(Object.entries({ title, station }).filter(([, text]) => text !== undefined))
    live.get(requestId)?.at(-1).span.addEvent('metadata', said)
  })

  /** Returns the playback that has not started yet: earlier ones with this requestId have. */
  const next = (requestId) => live.get(requestId)?.find(({ hasStarted }) => !hasStarted)

  const { playAudio, createStream } = session
  session.playAudio = (request) => begin('playAudio', request, () => playAudio.call(session, request))
  session.createStream = (request) => begin('createStream', request, () => createStream.call(session, request))
  return session
}

/** Returns the attributes of a request. It is not validated yet: fields that can't be read have no attributes. */
function attributesOf(request) {
  try {
    const { trackId = 0, group, role, audioUrl } = request
    const told = { track_id: trackId, source: sourceOf(request), group, role }
    const known = Object.entries(told).filter(([, value]) => ['string', 'number'].includes(typeof value))
    return { ...Object.fromEntries(known.map(([name, value]) => [`speaker_session.${name}`, value])), ...shownUrl(audioUrl) }
  } catch {
    return {}
  }
}

/** Returns the kind of the source. */
function sourceOf({ audioUrl, audio }) {
  if (audioUrl !== undefined) return { http: 'url', https: 'url', data: 'data' }[/^[a-z]+(?=:)/i.exec(String(audioUrl))?.[0].toLowerCase()] ?? 'file'
  if (audio === undefined) return 'stream'
  if (audio instanceof Uint8Array) return 'buffer'
  return { SpeakerClip: 'clip', SpeakerVoice: 'voice' }[audio?.constructor?.name] ?? 'iterable'
}

/** Returns a URL without its user, its query and other parts that may be secret; nothing of a file path. */
function shownUrl(audioUrl) {
  if (audioUrl === undefined || !/^https?:/i.test(String(audioUrl)) || !URL.canParse(String(audioUrl))) return {}
  const { protocol, host, pathname } = new URL(String(audioUrl))
  const parts = pathname.split('/').map((part) => (part.length > PATH_PART ? '<masked>' : part))
  return { 'url.full': `${protocol}//${host}${parts.join('/')}` }
}

function setHeard(span, { durationMs, positionMs, unheardMs }) {
  const heard = { duration_ms: durationMs, position_ms: positionMs, unheard_ms: unheardMs }
  for (const [name, ms] of Object.entries(heard)) if (ms !== undefined) span.setAttribute(`speaker_session.${name}`, ms)
}

/** Ends the span of a request that was refused. */
function refuse(span, error) {
  span.setAttribute('speaker_session.outcome', 'refused')
  setError(span, error)
  span.end()
}

/** Records an error. Messages of SpeakerError contain no secrets. */
function setError(span, { code, message }) {
  if (code !== undefined) span.setAttribute('error.type', code)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}

/** Returns the milliseconds since 1970, with a fraction. */
function now() {
  return performance.timeOrigin + performance.now()
}

module.exports = { traceSession }
