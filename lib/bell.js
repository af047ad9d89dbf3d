'use strict'

const { NativeBell } = require('./native')

/**
 * Sessions by the number under which the bell names them, each with what takes its messages. One bell for all sessions of this
 * thread: libuv looks at every bell of a thread whenever one rings.
 */
const sessions = new Map()

const forgotten = new FinalizationRegistry((number) => sessions.delete(number))

const bell = new NativeBell((ring) => {
  // A bare number says that one message waits; an object brings a frame or a question.
  const entry = sessions.get(typeof ring === 'number' ? ring : ring.session)
  const session = entry?.session.deref()
  if (session) entry.receive(session, ring)
})

/**
 * Calls `receive(session, ring)` for everything the session of this number rings for. Holds the session weakly, or one that was
 * never closed would hold itself for ever.
 */
function listen(number, session, receive) {
  sessions.set(number, { session: new WeakRef(session), receive })
  forgotten.register(session, number)
}

module.exports = { bell, listen }
