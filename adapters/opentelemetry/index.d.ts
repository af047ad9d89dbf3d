import { Tracer } from '@opentelemetry/api'

import { SpeakerSession } from '../..'

export interface TraceOptions {
  /** The tracer for the spans; that of the global tracer provider by default. */
  tracer?: Tracer | undefined
}

/**
 * Creates a span for each playback that is requested from now on, as a child of the span that is active where `playAudio` or `createStream`
 * is called. Returns the session; a second call changes nothing. docs/metrics.md lists the attributes and events of a span.
 *
 * @example
 * const session = traceSession(new SpeakerSession({ output }))
 */
export function traceSession<Session extends SpeakerSession>(session: Session, options?: TraceOptions): Session
