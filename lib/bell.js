'use strict'

const { NativeBell } = require('./native')

/**
 * The receivers of the open sessions, by the number with which the bell names each session. One bell serves all sessions of this
 * thread, because libuv checks every bell of a thread whenever one rings.
 */
const sessions = new Map()

const forgotten = new FinalizationRegistry((number) => sessions.delete(number))

const bell = new NativeBell((ring) => {
  // A bare number means that one message waits; an object carries a frame or a question.
  const entry = sessions.get(typeof ring === 'number' ? ring : ring.session)
  const session = entry?.session.deref()
  if (session) entry.receive(session, ring)
})

/**
 * Calls `receive(session, ring)` for each ring of the session with this number. Holds the session weakly: a strong reference would keep
 * a session that is never closed alive for ever.
 */
function listen(number, session, receive) {
  sessions.set(number, { session: new WeakRef(session), receive })
  forgotten.register(session, number)
}

module.exports = { bell, listen }
